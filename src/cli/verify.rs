//! `penumbra verify`: is a session's log whole and unaltered?

use super::Answer;
use super::args::VerifyArgs;
use crate::config::Home;
use crate::session;

/// Checks the chain of the log and names the first bad line.
pub fn run(home: &Home, args: &VerifyArgs) -> Answer {
    match session::verify(&home.session(&args.session)) {
        Ok(verified) => {
            println!(
                "{}: {} events, whole and unaltered; head {}",
                args.session, verified.lines, verified.head
            );
            Answer::Yes
        }
        Err(error) => {
            println!("{}: {error}", args.session);
            Answer::No
        }
    }
}
