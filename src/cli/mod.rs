//! The command line: one file a subcommand.
//!
//! Exit codes: 0 done, 1 ran but the answer is no, 2 usage, 3 failed.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command line prints")]

mod agreement;
mod answer;
mod args;
mod bench;
mod doctor;
mod embed;
mod evaluate;
mod export;
mod films;
mod import;
mod import_labels;
mod interrupt;
mod learn;
mod merge;
mod model;
mod predict;
mod pretrain;
mod protocol;
mod render;
mod report;
mod serve;
mod simulate;
mod verify;
#[cfg(feature = "gui")]
mod window;

use std::io;
use std::panic;
use std::process::ExitCode;

use clap::{Arg, CommandFactory as _, FromArgMatches as _};
use tracing_subscriber::EnvFilter;

pub use self::answer::Answer;
use self::args::{Args, Command};
use crate::config::Home;
use crate::device::{self, Compute, DeviceChoice};

/// What is logged where `PENUMBRA_LOG` says nothing: of the window's libraries, which report a renderer that the next one
/// replaces and a server without all extensions, only what is not said again by the error that ends the program.
const LOGGED: &str = "warn,eframe=off,egui_wgpu=error,winit=error";

/// Runs the command line of this process.
pub fn main() -> ExitCode {
    end_quietly_on_a_closed_pipe();
    let args =
        Args::from_arg_matches(&command().get_matches()).unwrap_or_else(|fault| fault.exit());
    let filter = EnvFilter::try_from_env("PENUMBRA_LOG").unwrap_or_else(|_| EnvFilter::new(LOGGED));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    match run(args) {
        Ok(Answer::Yes) => ExitCode::SUCCESS,
        Ok(Answer::No) => ExitCode::from(1),
        Err(error) if broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("penumbra: {error:#}");
            ExitCode::from(3)
        }
    }
}

/// The command line; a number below zero is a value that is out of range, not a flag that nobody knows.
fn command() -> clap::Command {
    let numbers = |arg: Arg| {
        let values = arg.get_action().takes_values();
        arg.allow_negative_numbers(values)
    };
    Args::command().mut_args(numbers).mut_subcommands(|subcommand| subcommand.mut_args(numbers))
}

/// Whoever reads a command's output may stop early, as `head` does; `println!` panics then.
fn end_quietly_on_a_closed_pipe() {
    let report = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let said = panic.payload().downcast_ref::<String>().map_or("", String::as_str);
        if said.starts_with("failed printing to stdout") && said.contains("Broken pipe") {
            std::process::exit(0);
        }
        report(panic);
    }));
}

fn broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

fn run(args: Args) -> anyhow::Result<Answer> {
    let home = Home::find(args.home.as_deref());
    match args.command {
        None => start_window(&home, None, &args),
        Some(Command::Label(ref label)) => start_window(&home, Some(label), &args),

        Some(Command::Doctor(doctor)) => doctor::run(&home, args.device, &doctor),
        Some(Command::Import(import)) => import::run(&home, &import),
        Some(Command::Pretrain(pretrain)) => {
            compute(args.device, args.threads, move |compute, threads| {
                pretrain::run(&home, &pretrain, compute, threads)
            })
        }
        Some(Command::Finetune(finetune)) => {
            compute(args.device, args.threads, move |compute, threads| {
                learn::finetune::run(&home, &finetune, compute, threads)
            })
        }
        Some(Command::Distill(distill)) => {
            compute(args.device, args.threads, move |compute, threads| {
                learn::distill::run(&home, &distill, compute, threads)
            })
        }
        Some(Command::Fixmatch(fixmatch)) => {
            compute(args.device, args.threads, move |compute, threads| {
                learn::fixmatch::run(&home, &fixmatch, compute, threads)
            })
        }
        Some(Command::Supervised(supervised)) => {
            compute(args.device, args.threads, move |compute, threads| {
                learn::supervised::run(&home, &supervised, compute, threads)
            })
        }
        Some(Command::Embed(embed)) => {
            compute(args.device, args.threads, move |compute, threads| {
                embed::run(&home, &embed, compute, threads)
            })
        }
        Some(Command::Predict(predict)) => compute(args.device, args.threads, move |compute, _| {
            predict::run(&home, &predict, compute)
        }),
        Some(Command::Serve(serve)) => {
            compute(args.device, args.threads, move |compute, threads| {
                serve::run(&home, &serve, compute, threads)
            })
        }
        Some(Command::Evaluate(evaluate)) => {
            compute(args.device, args.threads, move |compute, threads| {
                evaluate::run(&home, &evaluate, compute, threads)
            })
        }
        Some(Command::Simulate(simulate)) => {
            compute(args.device, args.threads, move |compute, threads| {
                simulate::run(&home, &simulate, compute, threads)
            })
        }
        Some(Command::Render(render)) => render::run(&render),
        Some(Command::Export(export)) => export::run(&home, &export),
        Some(Command::Report(report)) => report::run(&home, &report),
        Some(Command::Model(model)) => model::run(&home, &model),
        Some(Command::Agreement(agreement)) => agreement::run(&home, &agreement),
        Some(Command::Merge(merge)) => merge::run(&home, &merge),
        Some(Command::Protocol(protocol)) => protocol::run(&home, &protocol),
        Some(Command::Verify(verify)) => verify::run(&home, &verify),
        Some(Command::Bench(bench)) => {
            compute(args.device, args.threads, move |compute, threads| {
                bench::run(&bench, compute, threads)
            })
        }
    }
}

#[cfg(feature = "gui")]
fn start_window(
    home: &Home,
    label: Option<&args::LabelArgs>,
    args: &Args,
) -> anyhow::Result<Answer> {
    window::run(home, label, args)
}

#[cfg(not(feature = "gui"))]
fn start_window(_: &Home, _: Option<&args::LabelArgs>, _: &Args) -> anyhow::Result<Answer> {
    anyhow::bail!("this build of Penumbra has no window; `penumbra --help` lists the commands")
}

/// Opens the device and runs `work` on a thread of its own that owns every tensor.
fn compute(
    choice: DeviceChoice,
    threads: Option<usize>,
    work: impl FnOnce(&Compute, usize) -> anyhow::Result<Answer> + Send + 'static,
) -> anyhow::Result<Answer> {
    let compute = device::open(choice)?;
    let threads = threads.unwrap_or_else(device::cores).max(1);
    let run = move || {
        device::enter_compute_pool(threads, false)?;
        work(&compute, threads)
    };
    // Deep networks recurse on the way back.
    let thread =
        std::thread::Builder::new().name("compute".to_owned()).stack_size(64 << 20).spawn(run)?;
    thread
        .join()
        .map_err(|_| anyhow::anyhow!("the computation broke off; the message above says where"))?
}
