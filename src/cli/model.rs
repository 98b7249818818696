//! `penumbra model`: models in and out.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};

use super::answer::Answer;
use super::args::{ModelArgs, ModelCommand, ModelExportArgs, ModelImportArgs, WeightsFormat};
use crate::config::{Home, check_name};
use crate::device;
use crate::fsutil;
use crate::imaging::Preprocess;
use crate::model::exchange::{self, Imported};
use crate::model::folder::{self, Kind, ModelCard};
use crate::model::{ModelError, load_card, onnx};

/// Lists, shows, imports or exports models; computes on the CPU, since nothing here takes long.
///
/// # Errors
/// Fails if a model or a file cannot be read or written, or is not what it should be.
pub fn run(home: &Home, args: &ModelArgs) -> anyhow::Result<Answer> {
    match &args.command {
        ModelCommand::List { json } => list(home, *json)?,
        ModelCommand::Show { name, json } => show(home, name, *json)?,
        ModelCommand::Import(args) => import(home, args)?,
        ModelCommand::Export(args) => export(home, args)?,
    }
    Ok(Answer::Yes)
}

/// Names and cards of the models that can be loaded, the user's own and the shipped one.
pub fn models(home: &Home) -> Vec<(String, ModelCard)> {
    let own = fs::read_dir(home.models()).into_iter().flatten().flatten();
    let mut names: Vec<String> =
        own.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.push("demo".to_owned());
    names.sort_unstable();
    names.dedup();
    let card = |name: String| load_card(&home.model(&name)).ok().map(|card| (name, card));
    names.into_iter().filter_map(card).collect()
}

fn kind(card: &ModelCard) -> &'static str {
    match card.kind {
        Kind::Pretrained => "pretrained",
        Kind::Classifier => "classifier",
    }
}

fn list(home: &Home, json: bool) -> anyhow::Result<()> {
    let models = models(home);
    if json {
        let models: Vec<_> = models
            .iter()
            .map(|(name, card)| {
                serde_json::json!({
                    "name": name, "kind": card.kind, "architecture": card.architecture,
                    "size": card.preprocess.size, "classes": card.classes,
                })
            })
            .collect();
        println!("{}", serde_json::to_string_pretty(&models)?);
        return Ok(());
    }
    let longest = models.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    for (name, card) in models {
        let classes = card.classes.join(", ");
        let (kind, network, size) = (kind(&card), &card.architecture, card.preprocess.size);
        let line = format!("{name:longest$}  {kind}  {network}  {size} px  {classes}");
        println!("{}", line.trim_end());
    }
    Ok(())
}

fn show(home: &Home, name: &str, json: bool) -> anyhow::Result<()> {
    let folder = home.model(name);
    let card = load_card(&folder)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&card)?);
        return Ok(());
    }
    let classes = if card.classes.is_empty() { "none".to_owned() } else { card.classes.join(", ") };
    println!("model        {name}");
    println!("kind         {}", kind(&card));
    println!("encoder      {}", card.architecture);
    println!("parameters   {}", card.architecture.parameters());
    println!("features     {}", card.architecture.features());
    println!("films        {} px, {:?}", card.preprocess.size, card.preprocess.fit);
    println!("classes      {classes}");
    println!("parent       {}", card.parent.as_deref().unwrap_or("none"));
    println!("seed         {}", card.seed);
    println!("weights      {}", card.weights_hash);
    println!("made by      {}", card.made_by);
    println!("metrics      {}", card.metrics);
    println!("folder       {}", folder.display());
    Ok(())
}

fn import(home: &Home, args: &ModelImportArgs) -> anyhow::Result<()> {
    check_name(&args.out).map_err(anyhow::Error::msg)?;
    let folder = home.models().join(&args.out);
    if folder.join(folder::CARD).exists() {
        bail!("there is a model of this name already; choose another --out: {}", folder.display());
    }
    let state = exchange::read(&args.file)?;
    let imported = exchange::import(state, args.normalise, args.seed, &device::cpu().device);
    let Imported { model, architecture, left_out } =
        imported.map_err(|fault| ModelError::Weights { fault, path: args.file.clone() })?;
    let hash = blake3::hash(&fsutil::read(&args.file)?).to_hex().to_string();
    let normalisation = architecture.normalisation;
    println!(
        "{architecture}, {} input channels, normalised by {normalisation:?}",
        architecture.input_channels
    );
    if !left_out.is_empty() {
        println!("left out: {}", left_out.join(", "));
    }
    let card = ModelCard {
        version: folder::VERSION,
        kind: Kind::Pretrained,
        architecture,
        preprocess: Preprocess { size: args.size, fit: args.fit },
        classes: Vec::new(),
        parent: None,
        seed: args.seed,
        made_by: serde_json::json!({
            "import": args.file.file_name().map(|name| name.to_string_lossy().into_owned()),
            "blake3": hash,
            "left_out": left_out,
            "projection_head": "random, from the seed",
        }),
        metrics: serde_json::Value::Null,
        weights_hash: String::new(),
    };
    folder::save_in_single_precision(&model, card, &folder)?;
    println!("saved {}", folder.display());
    Ok(())
}

fn export(home: &Home, args: &ModelExportArgs) -> anyhow::Result<()> {
    let folder = home.model(&args.name);
    let card = load_card(&folder)?;
    let bytes = bytes(&folder, &card, args.format)
        .with_context(|| format!("cannot export {}", folder.display()))?;
    fsutil::write_atomic(&args.out, &bytes)?;
    println!("wrote {} MB: {}", bytes.len().div_ceil(1_000_000), args.out.display());
    Ok(())
}

fn bytes(folder: &Path, card: &ModelCard, format: WeightsFormat) -> anyhow::Result<Vec<u8>> {
    let device = device::cpu().device;
    let size = card.preprocess.size as usize;
    let notes = [
        ("architecture", serde_json::to_string(&card.architecture)?),
        ("preprocess", serde_json::to_string(&card.preprocess)?),
        ("classes", serde_json::to_string(&card.classes)?),
    ];
    match (card.kind, format) {
        (Kind::Pretrained, WeightsFormat::Onnx) => {
            let (model, _) = folder::load_pretrained(folder, &device)?;
            Ok(onnx::encoder(&model.encoder, size, &notes)?)
        }
        (Kind::Classifier, WeightsFormat::Onnx) => {
            let (model, _) = folder::load_classifier(folder, &device)?;
            Ok(onnx::classifier(&model, size, &notes)?)
        }
        (kind, WeightsFormat::Safetensors) => {
            let state = if kind == Kind::Pretrained {
                let (model, _) = folder::load_pretrained(folder, &device)?;
                exchange::state_dict(&model.encoder, &card.architecture)
            } else {
                let (model, _) = folder::load_classifier(folder, &device)?;
                exchange::state_dict(&model, &card.architecture)
            };
            let state = state.map_err(anyhow::Error::msg)?;
            exchange::to_safetensors(&state).map_err(anyhow::Error::msg)
        }
    }
}
