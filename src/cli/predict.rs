//! `penumbra predict`: class probabilities of films, and maps of what speaks for them.

use std::collections::BTreeSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use image::ImageFormat;

use super::answer::Answer;
use super::args::{PredictArgs, SaliencyMethod};
use crate::config::Home;
use crate::dataset::Flow;
use crate::dataset::planes::PlaneStore;
use crate::dataset::planes::source_preprocess;
use crate::device::Compute;
use crate::fsutil;
use crate::imaging::{Plane, decode};
use crate::predict::{Predictor, on_film, overlay};
use crate::session::export::npy;
use crate::stats::likeliest;

/// Classifies films one by one; a film that cannot be read is reported and the others go on.
///
/// # Errors
/// Fails if the model cannot be loaded or does not classify, if it has no class of the name given, or if a map cannot be
/// written.
pub fn run(home: &Home, args: &PredictArgs, compute: &Compute) -> anyhow::Result<Answer> {
    let predictor = Predictor::load(&home.model(&args.model), &compute.device)?;
    let maps = args.saliency.as_ref().map(|folder| Maps::new(folder, args, &predictor));
    let mut maps = maps.transpose()?;
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
        let classes = predictor.card.classes.iter().zip(&probabilities);
        if !args.json {
            let text: Vec<String> =
                classes.clone().map(|(class, p)| format!("{class} {p:.3}")).collect();
            println!("{}: {}", path.display(), text.join(", "));
        }
        let of_class: serde_json::Map<String, serde_json::Value> =
            classes.map(|(class, &p)| (class.clone(), f64::from(p).into())).collect();
        let mut line = serde_json::json!({ "file": path, "probabilities": of_class });
        if let Some(maps) = &mut maps {
            line["saliency"] = maps.write(&predictor, path, &store, &probabilities)?;
        }
        report.push(line);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    }
    Ok(answer)
}

/// Where maps go and how they are made.
struct Maps<'a> {
    folder: &'a Path,
    method: SaliencyMethod,
    /// Class to draw; the likeliest if none.
    class: Option<usize>,
    opacity: f32,
    /// Names that are taken.
    names: BTreeSet<String>,
}

impl<'a> Maps<'a> {
    fn new(folder: &'a Path, args: &PredictArgs, predictor: &Predictor) -> anyhow::Result<Self> {
        let classes = &predictor.card.classes;
        let place = |class: &String| {
            let found = classes.iter().position(|known| known == class);
            found.with_context(|| format!("the model has no class {class}; it has {classes:?}"))
        };
        let class = args.class.as_ref().map(place).transpose()?;
        let (method, opacity) = (args.method, args.opacity);
        Ok(Self { folder, method, class, opacity, names: BTreeSet::new() })
    }

    /// Writes a film's map and the film under it; returns what was written.
    fn write(
        &mut self,
        predictor: &Predictor,
        path: &Path,
        store: &PlaneStore,
        probabilities: &[f32],
    ) -> anyhow::Result<serde_json::Value> {
        let class = self.class.unwrap_or_else(|| likeliest(probabilities));
        let map = self.map(predictor, store, class)?;
        let film = decode(path)?;
        let size = [film.width, film.height];
        let map = on_film(&map, predictor.card.preprocess.fit, size, size);
        let picture = self.picture(path);
        let mut bytes = Cursor::new(Vec::new());
        overlay(&film, &map, self.opacity).write_to(&mut bytes, ImageFormat::Png)?;
        fsutil::write_atomic(&picture, &bytes.into_inner())?;
        let raw = picture.with_extension("npy");
        let shape = [map.height as usize, map.width as usize];
        fsutil::write_atomic(&raw, &npy(shape, &map.pixels))?;
        let class = predictor.card.classes.get(class);
        Ok(serde_json::json!({ "class": class, "overlay": picture, "map": raw }))
    }

    fn map(
        &self,
        predictor: &Predictor,
        store: &PlaneStore,
        class: usize,
    ) -> anyhow::Result<Plane> {
        let maps = match self.method {
            SaliencyMethod::GradCam => {
                let found = predictor.grad_cam(store, &[0])?;
                found.and_then(|mut films| films.pop()).map(|film| film.maps)
            }
            SaliencyMethod::Occlusion => predictor.occlusion(store, 0)?,
        };
        maps.and_then(|maps| maps.into_iter().nth(class)).context("the model has no such class")
    }

    /// A file named as the film, with a number where two films in different folders have one name.
    fn picture(&mut self, path: &Path) -> PathBuf {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let mut name = stem.clone();
        let mut number = 2;
        while !self.names.insert(name.clone()) {
            name = format!("{stem}-{number}");
            number += 1;
        }
        self.folder.join(format!("{name}.png"))
    }
}
