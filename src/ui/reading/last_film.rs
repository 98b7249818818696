//! What the reader is told about the film that they have just answered.

use std::sync::Arc;

use crate::ui::film_loader::LoadedFilm;
use crate::ui::reply::Reply;
use crate::ui::why::Why;

/// The film that was answered last.
pub struct LastFilm {
    /// Its row in the session.
    pub row: usize,
    /// What the reader did.
    pub reply: Reply,
    /// The class that the model held most likely before the answer, and its probability.
    pub opinion: Option<(usize, f32)>,
    /// Why the film was in the queue.
    pub why: Why,
    /// The film itself, where it could be decoded.
    pub film: Option<Arc<LoadedFilm>>,
}
