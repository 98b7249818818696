//! COCO's annotation format: `labels.coco.json`, a category a class and an annotation a film whose box is the whole film.

use std::path::Path;

use serde::Serialize;

use super::ExportError;
use super::record::Record;
use crate::dataset::FilmId;
use crate::fsutil;
use crate::session::state::State;
use crate::session::time::Time;

/// <https://cocodataset.org/#format-data>; COCO has no labels of whole images, so that the box says it.
#[derive(Serialize)]
struct Coco<'a> {
    info: Info,
    licenses: [(); 0],
    images: Vec<Image<'a>>,
    annotations: Vec<Annotation<'a>>,
    categories: Vec<Category<'a>>,
}

#[derive(Serialize)]
struct Info {
    description: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
struct Image<'a> {
    id: usize,
    file_name: &'a str,
    width: u32,
    height: u32,
    patient: &'a str,
    film: FilmId,
}

#[derive(Serialize)]
struct Annotation<'a> {
    id: usize,
    image_id: usize,
    category_id: usize,
    bbox: [u32; 4],
    area: u64,
    iscrowd: u8,
    segmentation: [[u32; 8]; 1],
    reader: &'a str,
    time: Time,
}

#[derive(Serialize)]
struct Category<'a> {
    id: usize,
    name: &'a str,
    supercategory: &'static str,
}

/// Writes the films with a class; ids count from 1, those of categories in the session's order.
pub(super) fn write(
    records: &[Record<'_>],
    state: &State,
    folder: &Path,
) -> Result<(), ExportError> {
    let (mut images, mut annotations) = (Vec::new(), Vec::new());
    for record in records {
        let Some(class) = record.class else { continue };
        let (id, width, height) = (images.len() + 1, record.of.width, record.of.height);
        let Record { file, patient, film, reader, time, .. } = *record;
        images.push(Image { id, file_name: file, width, height, patient, film });
        annotations.push(Annotation {
            id,
            image_id: id,
            category_id: class + 1,
            bbox: [0, 0, width, height],
            area: u64::from(width) * u64::from(height),
            iscrowd: 0,
            segmentation: [[0, 0, width, 0, width, height, 0, height]],
            reader,
            time,
        });
    }
    let category = |(place, name)| Category { id: place + 1, name, supercategory: "film" };
    let categories = state.classes().iter().map(String::as_str).enumerate().map(category).collect();
    let info = Info {
        description: "labels of whole films, exported by Penumbra",
        version: env!("CARGO_PKG_VERSION"),
    };
    let coco = Coco { info, licenses: [], images, annotations, categories };
    Ok(fsutil::write_atomic(&folder.join("labels.coco.json"), &serde_json::to_vec(&coco)?)?)
}
