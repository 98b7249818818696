//! Arguments of the window.

use std::path::PathBuf;

use super::values::{ClassSet, classes, reader, share};
use crate::study::workspace::{AUDIT_SHARE, LABELS_PER_LEARNING, RETURN_AFTER};

/// Arguments of `label`.
#[derive(Debug, clap::Args)]
pub struct LabelArgs {
    /// Session to open
    #[arg(long, default_value = "demo")]
    pub session: String,
    /// Folder of films, for a new session, which --session names
    #[arg(long)]
    pub images: Option<PathBuf>,
    /// Pretrained model to embed films with [default: the one that the session has been read with, at first demo]
    #[arg(long)]
    pub model: Option<String>,
    /// Share of films drawn at random for an unbiased accuracy, for a new session
    #[arg(long, default_value_t = AUDIT_SHARE, value_parser = share)]
    pub audit_share: f32,
    /// What a film can show, for a new session: binary (normal, pneumonia), who (the WHO's conclusions) or
    /// NAME=KEY[:#RRGGBB],…; uninterpretable is an answer beside them
    #[arg(long, default_value = "binary", value_parser = classes)]
    pub classes: ClassSet,
    /// Who reads [default: who read last on this machine; where several have, the window asks]
    #[arg(long, value_name = "NAME", value_parser = reader)]
    pub reader: Option<String>,
    /// Films after which one that was put off comes back; 0 for when all others are read
    #[arg(long, value_name = "N", default_value_t = RETURN_AFTER)]
    pub later_after: usize,
    /// New labels after which models are trained in the background; 0 for only when asked
    #[arg(long, default_value_t = LABELS_PER_LEARNING)]
    pub learn_every: usize,
    /// Teach a student on the whole pool after fine-tuning, and use it in place of its teacher: minutes more, and no better
    /// where it was measured
    #[arg(long)]
    pub distill: bool,
}
