//! `penumbra evaluate`: figures of a classifier on labelled films.

use anyhow::bail;

use super::answer::Answer;
use super::args::EvaluateArgs;
use super::films::{find, load};
use crate::config::Home;
use crate::dataset::planes::source_preprocess;
use crate::device::Compute;
use crate::learn::metrics::{Metrics, positive_class};
use crate::predict::{Model, Predictor};

/// Classifies the films and prints how well.
///
/// # Errors
/// Fails if the model does not classify, has other classes than the labels file, or a film cannot be read.
pub fn run(
    home: &Home,
    args: &EvaluateArgs,
    compute: &Compute,
    threads: usize,
) -> anyhow::Result<Answer> {
    let films = find(home, &args.films.set())?;
    let predictor = Predictor::load(&home.model(&args.model), &compute.device)?;
    let classes = &predictor.card.classes;
    if films.classes.is_empty() {
        bail!("evaluating needs --labels");
    }
    if matches!(predictor.model, Model::Pretrained(_)) {
        bail!("the model {} embeds and does not classify", args.model);
    }
    if *classes != films.classes {
        bail!(
            "the model {} knows the classes {classes:?}, the labels file {:?}",
            args.model,
            films.classes
        );
    }
    let store = load(&films, source_preprocess(predictor.card.preprocess), threads)?;
    let rows: Vec<usize> = (0..store.len()).collect();
    let probabilities = predictor.probabilities(&store, &rows)?.unwrap_or_default();
    let metrics =
        Metrics::of(&probabilities, &films.labels, classes.len(), positive_class(classes))?;
    if args.json {
        println!("{}", serde_json::to_string_pretty(&metrics)?);
    } else {
        println!("{metrics}");
    }
    Ok(Answer::Yes)
}
