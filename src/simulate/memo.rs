//! Networks that several methods use: each is learnt once from the labels bought last.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

use serde::Serialize;

use crate::dataset::Labelled;
use crate::model::Classifier;

/// A network learnt from the labels that were bought last.
#[derive(Debug)]
pub struct Network {
    settings: serde_json::Value,
    bought: Labelled,
    /// The network.
    pub model: Classifier,
    /// Seconds of work that it took, that of the networks it learnt from included.
    seconds: f32,
}

/// A network, and the seconds of work on it that earlier cells spent.
pub struct Shared {
    /// The network.
    pub network: Rc<Network>,
    /// The seconds.
    pub seconds_before: f32,
}

/// A network just learnt, and the seconds that earlier cells spent on what it learnt from.
pub struct Fresh {
    /// The network.
    pub model: Classifier,
    /// The seconds.
    pub seconds_before: f32,
}

/// The networks learnt from the labels bought last.
#[derive(Debug, Default)]
pub struct Memo {
    known: RefCell<Vec<Rc<Network>>>,
}

impl Memo {
    /// Learns a network, unless the very same was learnt since labels were bought last.
    ///
    /// # Errors
    /// Fails as `learn` does, or if the settings cannot be written as JSON.
    pub fn network(
        &self,
        bought: &Labelled,
        settings: &impl Serialize,
        learn: impl FnOnce() -> anyhow::Result<Fresh>,
    ) -> anyhow::Result<Shared> {
        let settings = serde_json::to_value(settings)?;
        self.known.borrow_mut().retain(|known| known.bought == *bought);
        let known = self.known.borrow().iter().find(|known| known.settings == settings).cloned();
        if let Some(network) = known {
            return Ok(Shared { seconds_before: network.seconds, network });
        }
        let started = Instant::now();
        let Fresh { model, seconds_before } = learn()?;
        let seconds = started.elapsed().as_secs_f32() + seconds_before;
        let network = Rc::new(Network { settings, bought: bought.clone(), model, seconds });
        self.known.borrow_mut().push(Rc::clone(&network));
        Ok(Shared { network, seconds_before })
    }
}
