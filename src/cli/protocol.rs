//! `penumbra protocol`: how do several readers work on a session?

use super::answer::Answer;
use super::args::ProtocolArgs;
use crate::config::{Home, Readers, readers};
use crate::session::{Event, Protocol, Session, Snapshot};

/// Shows the protocol of a session, after changing what is given.
///
/// # Errors
/// Fails if there is no such session or, for a change, it is open elsewhere or cannot be written.
pub fn run(home: &Home, args: &ProtocolArgs) -> anyhow::Result<Answer> {
    let folder = home.session(&args.session);
    let before = Snapshot::read(&folder)?.state.protocol().cloned().unwrap_or_default();
    let protocol = Protocol {
        double_share: args.double_share.unwrap_or(before.double_share),
        doubt_share: args.doubt_share.unwrap_or(before.doubt_share),
        readers: args.readers.unwrap_or(before.readers),
        reread_share: args.reread_share.unwrap_or(before.reread_share),
        reread_after: args.reread_after.unwrap_or(before.reread_after),
        reread_days: args.reread_days.unwrap_or(before.reread_days),
        consensus: args.consensus.unwrap_or(before.consensus),
        opinion: args.opinion.unwrap_or(before.opinion),
    };
    if protocol != before {
        let (mut session, _) = Session::open(&folder)?;
        let last = Readers::load(home).last.unwrap_or_else(readers::account);
        session.append(&last, Event::Protocol(protocol.clone()))?;
        session.flush()?;
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&protocol)?);
        return Ok(Answer::Yes);
    }
    let share = |share: f32| format!("{:.0} %", 100.0 * share);
    let readers = match protocol.readers {
        0 => "all readers".to_owned(),
        n => format!("{n} readers"),
    };
    println!("read by {readers}: {} of films, by chance", share(protocol.double_share));
    println!("  and of the others the {} that the model doubts most", share(protocol.doubt_share));
    println!(
        "read again unawares: {} of films, {} films and {} days later",
        share(protocol.reread_share),
        protocol.reread_after,
        protocol.reread_days
    );
    println!("consensus: {}", protocol.consensus);
    println!("the model's opinion is shown: {}", protocol.opinion);
    Ok(Answer::Yes)
}
