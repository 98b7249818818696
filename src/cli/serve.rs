//! `penumbra serve`: the prediction page and its JSON API.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::thread::{Builder, JoinHandle};

use anyhow::{Context as _, bail};

use super::answer::Answer;
use super::args::ServeArgs;
use crate::config::Home;
use crate::device::Compute;
use crate::serve::{Neighbours, Served, Settings, run as serve, server, shutdown_signal};
use crate::study::Workspace;

/// Where a token may be, other than in the arguments.
const TOKEN: &str = "PENUMBRA_TOKEN";

/// Serves until Ctrl-C or SIGTERM; the calling thread computes.
///
/// # Errors
/// Fails if a model cannot be loaded or does not classify, if a token is needed and there is none, or if the address cannot
/// be listened at.
pub fn run(
    home: &Home,
    args: &ServeArgs,
    compute: &Compute,
    threads: usize,
) -> anyhow::Result<Answer> {
    let settings = settings(args);
    settings.check().map_err(anyhow::Error::msg)?;
    let models = models(home, &args.model, compute)?;
    let neighbours = match &args.session {
        Some(name) => Some(neighbours(home, name, &models[0], threads)?),
        None => None,
    };
    let address = settings.address;
    let with_token = settings.token.is_some();
    let (app, inbox) = server(&models, neighbours, settings);
    let named = args.model.join(" and ");
    let ready = move |address: SocketAddr| {
        let token = if with_token { " to those with the token" } else { "" };
        println!("Serving {named}{token} at http://{address} (Ctrl-C ends it)");
        println!("Research software, not a medical device");
    };
    // The runtime lives on a thread of its own; this one owns the tensors. The queue ends with the routes.
    let server = move || {
        let served = serve(&app, address, ready, shutdown_signal());
        drop(app);
        served
    };
    let server: JoinHandle<_> = Builder::new().name("serve".to_owned()).spawn(server)?;
    inbox.compute(&models);
    let served = server.join().map_err(|_| anyhow::anyhow!("the server broke off"))?;
    served.with_context(|| format!("could not listen at {address}; try another --port"))?;
    Ok(Answer::Yes)
}

fn settings(args: &ServeArgs) -> Settings {
    let token = args.token.clone().or_else(|| std::env::var(TOKEN).ok());
    let token = token.filter(|token| !token.is_empty());
    Settings {
        queue: args.queue,
        body_limit: (args.max_mib as usize) << 20,
        read_limit: args.time_limit,
        answer_limit: args.time_limit,
        ..Settings::new(SocketAddr::new(args.host, args.port), token)
    }
}

/// Loads the models, which have the same classes, so that what they say can be compared.
fn models(home: &Home, names: &[String], compute: &Compute) -> anyhow::Result<Vec<Served>> {
    let load = |name: &String| Served::load(name, &home.model(name), compute);
    let models: Vec<Served> = names.iter().map(load).collect::<anyhow::Result<_>>()?;
    if names.iter().collect::<BTreeSet<_>>().len() < names.len() {
        bail!("a model is named twice by --model");
    }
    let classes = |model: &Served| model.predictor.card.classes.clone();
    if let Some(other) = models.iter().find(|model| classes(model) != classes(&models[0])) {
        bail!(
            "{} and {} are served side by side only with the same classes; these have {:?} and {:?}",
            models[0].name,
            other.name,
            classes(&models[0]),
            classes(other)
        );
    }
    Ok(models)
}

fn neighbours(
    home: &Home,
    name: &str,
    model: &Served,
    threads: usize,
) -> anyhow::Result<Neighbours> {
    let workspace = Workspace::open(home, name)?;
    for warning in &workspace.warnings {
        eprintln!("{warning}");
    }
    Neighbours::of_session(&workspace, model, threads)
        .with_context(|| format!("films cannot be compared with the session {name}"))
}
