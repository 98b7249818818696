//! The window without a window: what a reader does, through the tree that screen readers see.

mod classes;
mod films;
mod flow;
mod learn;
mod readers;
mod reading;
mod start;
mod viewer;
mod views;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use egui::{Key, Vec2};
use egui_kittest::Harness;
use egui_kittest::kittest::{NodeT as _, Queryable as _};

use super::app::sitting::Sitting;
use super::app::{App, Background, Start};
use super::reading::Reading;
use crate::config::Home;
use crate::engine;
use crate::query::{Ranked, Reason, Strategy};
use crate::session::{Answer, Class, Event};
use crate::study::Ranking;
use crate::study::workspace::{self, NewSession, RETURN_AFTER};

struct Room {
    harness: Harness<'static, App>,
    home: Home,
    folder: tempfile::TempDir,
}

fn write_films(folder: &Path, films: u32) {
    std::fs::create_dir_all(folder).unwrap();
    for film in 0..films {
        let shade = |x: u32, y: u32| image::Luma([(x * 2 + y + 37 * film) as u8]);
        let picture = image::GrayImage::from_fn(120 + film, 100, shade);
        picture.save(folder.join(format!("film-{film}.png"))).unwrap();
    }
}

fn harness(home: &Home, start: Start) -> Harness<'static, App> {
    harness_returning(home, start, RETURN_AFTER)
}

/// A window in which films put off come back after so many others.
fn harness_returning(home: &Home, start: Start, films: usize) -> Harness<'static, App> {
    let home = home.clone();
    Harness::builder()
        .with_size(Vec2::new(1280.0, 800.0))
        // Films are decoded and labels synced on other threads, so a busy machine takes more passes to settle.
        .with_max_steps(64)
        .build_eframe(|context| {
            App::new(&context.egui_ctx, home, start, Background::Off, Some(films))
        })
}

impl Room {
    /// A session named "ward" on a number of films, opened, the first film on screen.
    fn new(films: u32) -> Self {
        Self::with_audit(films, workspace::AUDIT_SHARE)
    }

    /// The same with this share of films drawn at random, in 0..=1.
    fn with_audit(films: u32, audit_share: f32) -> Self {
        Self::made(films, |new| NewSession { audit_share, ..new })
    }

    /// The same with these classes.
    fn with_classes(films: u32, classes: Vec<Class>) -> Self {
        Self::made(films, |new| NewSession { classes, ..new })
    }

    fn made(films: u32, how: impl FnOnce(NewSession) -> NewSession) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let images = folder.path().join("films");
        write_films(&images, films);
        let home = Home::find(Some(&folder.path().join("home")));
        let new = how(NewSession::new("ward".to_owned(), images));
        workspace::create(&home, &new, &|_, _| {}).unwrap();
        let harness = harness(&home, Start::Session("ward".to_owned()));
        let mut room = Self { harness, home, folder };
        room.until("the first film", |app| app.sitting().is_some_and(on_screen));
        room
    }

    /// Lets passes go by until something is so.
    fn until(&mut self, what: &str, so: impl Fn(&App) -> bool) {
        let start = Instant::now();
        while !so(self.harness.state()) {
            assert!(start.elapsed() < Duration::from_secs(20), "waited in vain for {what}");
            std::thread::sleep(Duration::from_millis(2));
            self.harness.step();
        }
        self.harness.step();
    }

    /// Lets passes go by until the tree says something.
    fn wait_for(&mut self, text: &str) {
        let start = Instant::now();
        while !self.sees(text) {
            assert!(start.elapsed() < Duration::from_secs(20), "no {text:?}: {:?}", self.words());
            std::thread::sleep(Duration::from_millis(2));
            self.harness.step();
        }
    }

    /// Presses a key and waits until what it entered is on disk and the next film on screen.
    fn press(&mut self, key: Key) {
        self.harness.key_press(key);
        self.harness.step();
        self.settle();
    }

    fn click(&mut self, label: &str) {
        self.harness.get_by_label(label).click();
        self.harness.step();
        self.settle();
    }

    fn settle(&mut self) {
        let ready = |app: &App| {
            app.sitting().is_none_or(|r| {
                r.reading.study.session().ready() && (r.reading.row().is_none() || on_screen(r))
            })
        };
        self.until("disk and film", ready);
        self.harness.run();
    }

    /// Types into the field that has the focus.
    fn write(&mut self, text: &str) {
        self.harness.event(egui::Event::Text(text.to_owned()));
        self.harness.step();
    }

    /// The event that was entered last.
    fn last_event(&self) -> Event {
        self.reading().study.session().entries().last().unwrap().event.clone()
    }

    fn sitting(&self) -> &Sitting {
        self.harness.state().sitting().unwrap()
    }

    fn reading(&self) -> &Reading {
        &self.sitting().reading
    }

    /// Hands the window what an engine would report.
    fn report(&mut self, event: engine::Event) {
        let ctx = self.harness.ctx.clone();
        self.harness.state_mut().sitting_mut().unwrap().take(&ctx, event);
    }

    fn answers(&self) -> Vec<Answer> {
        self.reading().study.state().in_order().map(|(_, label)| label.answer.clone()).collect()
    }

    fn sees(&self, text: &str) -> bool {
        self.words().iter().any(|words| words.contains(text))
    }

    /// Everything that the tree says, labels and values.
    fn words(&self) -> Vec<String> {
        let root = self.harness.root();
        let nodes = root.children_recursive();
        nodes
            .flat_map(|node| {
                let node = node.accesskit_node();
                [node.label(), node.value()]
            })
            .flatten()
            .collect()
    }
}

fn on_screen(sitting: &Sitting) -> bool {
    let Sitting { reading, panels } = sitting;
    reading.row().is_some_and(|row| panels.read.viewer.is_prepared(row))
        || matches!(reading.film(), Some(Err(_)))
}

/// Whether the film at a place of the queue is ready to be drawn.
fn is_prepared(sitting: &Sitting, place: usize) -> bool {
    let row = sitting.reading.worklist.upcoming()[place].row;
    sitting.panels.read.viewer.is_prepared(row)
}

fn class(name: &str) -> Answer {
    Answer::Class(name.to_owned())
}

/// A ranking that is sure of something about every film.
fn ranking(films: usize, order: &[usize]) -> Arc<Ranking> {
    let reason = || Reason::Margin { margin: 0.4321 };
    Arc::new(Ranking {
        version: 0,
        labels: 0,
        model: "oracle-of-ward".to_owned(),
        asked: Strategy::Margin,
        strategy: Strategy::Margin,
        settled: true,
        penalty: 1.0,
        order: order.iter().map(|&index| Ranked { index, score: 0.5, reason: reason() }).collect(),
        probabilities: (0..films).flat_map(|_| [0.13, 0.87]).collect(),
        reference: None,
        milliseconds: 1.0,
    })
}

/// Puts text into a field by its name.
fn set_text(room: &mut Room, name: &str, text: &Path) {
    let text: PathBuf = text.to_owned();
    let field = room.harness.get_by(|node| {
        let role = format!("{:?}", node.role());
        role == "TextInput" && node.label().is_some_and(|label| label == name)
    });
    field.focus();
    room.harness.step();
    room.harness.key_press_modifiers(egui::Modifiers::COMMAND, Key::A);
    room.harness.event(egui::Event::Text(text.display().to_string()));
    room.harness.step();
    room.harness.run();
}
