//! `penumbra predict`: class probabilities of films.

use std::path::Path;

use anyhow::bail;

use super::Answer;
use super::args::PredictArgs;
use crate::config::Home;
use crate::dataset::Flow;
use crate::dataset::planes::PlaneStore;
use crate::device::Compute;
use crate::engine::worker::source_preprocess;
use crate::predict::Predictor;

/// Classifies films one by one; a film that cannot be read is reported and the others go on.
///
/// # Errors
/// Fails if the model cannot be loaded or does not classify.
pub fn run(home: &Home, args: &PredictArgs, compute: &Compute) -> anyhow::Result<Answer> {
    let predictor = Predictor::load(&home.model(&args.model), &compute.device)?;
    let preprocess = source_preprocess(predictor.card.preprocess);
    let mut report = Vec::new();
    let mut answer = Answer::Yes;
    for path in &args.files {
        let name = path.to_string_lossy().into_owned();
        let go_on = &|_, _| Flow::Continue;
        let (store, refused) = PlaneStore::load(Path::new(""), &[name], &preprocess, 1, go_on)?;
        if let Some(film) = refused.first() {
            eprintln!("refused: {film}");
            answer = Answer::No;
            continue;
        }
        let Some(probabilities) = predictor.probabilities(&store, &[0])? else {
            bail!("the model {} embeds and does not classify", args.model);
        };
        let of_class: serde_json::Map<String, serde_json::Value> = predictor
            .card
            .classes
            .iter()
            .zip(&probabilities)
            .map(|(class, &probability)| (class.clone(), f64::from(probability).into()))
            .collect();
        if !args.json {
            let text: Vec<String> = predictor
                .card
                .classes
                .iter()
                .zip(&probabilities)
                .map(|(class, p)| format!("{class} {p:.3}"))
                .collect();
            println!("{}: {}", path.display(), text.join(", "));
        }
        report.push(serde_json::json!({ "file": path, "probabilities": of_class }));
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    }
    Ok(answer)
}
