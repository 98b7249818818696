//! `penumbra verify`: is a session's log whole and unaltered?

use super::Answer;
use super::args::VerifyArgs;
use crate::config::Home;
use crate::session::{self, SessionError};

/// Checks the chain of the log and names the first bad line.
///
/// # Errors
/// Fails if there is no such session or it cannot be read.
pub fn run(home: &Home, args: &VerifyArgs) -> anyhow::Result<Answer> {
    match session::verify(&home.session(&args.session)) {
        Ok(verified) => {
            println!(
                "{}: {} events, whole and unaltered; head {}",
                args.session, verified.lines, verified.head
            );
            Ok(Answer::Yes)
        }
        Err(error @ (SessionError::BadLine { .. } | SessionError::Header { .. })) => {
            println!("{}: {error}", args.session);
            Ok(Answer::No)
        }
        Err(error) => Err(error.into()),
    }
}
