//! `penumbra simulate`: active learning replayed with labels that are known.

use super::answer::Answer;
use super::args::SimulateArgs;
use super::films::{bar, progress};
use super::interrupt::{STOPPING, stop_on_ctrl_c};
use crate::config::Home;
use crate::device::Compute;
use crate::simulate::{Ended, Machine, News, Watch, run as simulate};

/// Runs every cell that is not stored yet and prints the results.
///
/// # Errors
/// As [`simulate`].
pub fn run(
    home: &Home,
    args: &SimulateArgs,
    compute: &Compute,
    threads: usize,
) -> anyhow::Result<Answer> {
    let stop = stop_on_ctrl_c(STOPPING)?;
    let reading = bar("reading films");
    let tell = |news| match news {
        News::Warning(warning) => eprintln!("warning: {warning}"),
        News::Note(note) => eprintln!("{note}"),
        News::Reading { done, total } if done < total => progress(&reading, done, total),
        News::Reading { .. } => reading.finish_and_clear(),
    };
    let watch = Watch { tell: &tell, stop: &stop };
    match simulate(&args.settings()?, Machine { home, compute, threads }, watch)? {
        Ended::Reported(report) if args.json => {
            println!("{}", serde_json::to_string_pretty(&report.json)?);
        }
        Ended::Reported(report) => print!("{}", report.markdown),
        Ended::Stopped { done, cells } => {
            match &args.out {
                None => eprintln!("stopped; with --out the same command would go on from here"),
                Some(out) => eprintln!(
                    "stopped with {done} of {cells} cells; the same command goes on from here: {}",
                    out.display()
                ),
            }
            return Ok(Answer::No);
        }
    }
    Ok(Answer::Yes)
}
