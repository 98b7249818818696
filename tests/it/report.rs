//! A session as one HTML file.

use std::path::Path;

use penumbra::config::Home;
use penumbra::session::{Answer, Event, Session, Shown, Source, verify};
use penumbra::study::Workspace;

use super::cli::{code, films, penumbra, text};

fn shown() -> Shown {
    Shown {
        model: "demo".to_owned(),
        window_centre: 127.5,
        window_width: 255.0,
        zoom: 1.0,
        inverted: false,
        mirrored: false,
        quarter_turns: 0,
        opinion_visible: false,
        opinion: None,
    }
}

/// Thirty labels, every one of a film that was drawn at random, by a reader with an awkward name.
fn label(session: &mut Session, films: &[penumbra::dataset::FilmRecord]) {
    for (place, film) in films.iter().enumerate().take(30) {
        let sure = 0.55 + 0.01 * place as f32;
        let (class, predicted) = match place % 3 {
            0 => ("normal", vec![sure, 1.0 - sure]),
            1 => ("pneumonia", vec![1.0 - sure, sure]),
            _ => ("pneumonia", vec![sure, 1.0 - sure]),
        };
        let event = Event::Label {
            film: film.id,
            answer: Answer::Class(class.to_owned()),
            ms: 6000,
            source: Source::Audit { predicted, probability: 0.01 },
            shown: shown(),
        };
        session.append("Dr <b>Röntgen</b> & Co", event).unwrap();
    }
    let measure =
        Event::Measure { labels: 30, accuracy: 0.9, auroc: 0.95, n: 200, model: "demo".to_owned() };
    session.append("Dr <b>Röntgen</b> & Co", measure).unwrap();
    let swap = Event::ModelSwap {
        model: "ward-30".to_owned(),
        accepted: true,
        reason: "log-loss 0.2 < 0.3".to_owned(),
        labels: 30,
        methods: Vec::new(),
    };
    session.append("Dr <b>Röntgen</b> & Co", swap).unwrap();
    session.flush().unwrap();
}

#[test]
fn it_holds_figures_curves_and_the_head_of_the_log_and_needs_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let (images, home) = (folder.path().join("films"), folder.path().join("home"));
    films(&images, 40);
    let images = images.to_str().unwrap();
    assert_eq!(code(&penumbra(&home, &["import", images, "--session", "ward"])), 0);
    let found = Home::find(Some(&home));
    let mut workspace = Workspace::open(&found, "ward").unwrap();
    let films = std::sync::Arc::clone(&workspace.films);
    label(&mut workspace.session, &films);
    // The session is open: a report only reads.
    let out = folder.path().join("ward.html");
    let file = out.to_str().unwrap();
    let output = penumbra(&home, &["report", "--session", "ward", "--out", file]);
    assert_eq!(code(&output), 0, "{}", text(&output));
    drop(workspace);
    let page = std::fs::read_to_string(&out).unwrap();
    let head = verify(&found.session("ward")).unwrap().head.to_string();
    assert!(page.contains(&head), "the head of the log is missing");
    assert!(page.contains("Dr &lt;b&gt;Röntgen&lt;/b&gt; &amp; Co") && !page.contains("<b>"));
    assert!(
        page.contains("log-loss 0.2 &lt; 0.3")
            && page.contains("The card of ward-30 cannot be read")
    );
    // Twenty of thirty by count; Wilson's interval by its closed form is 0.48780 to 0.80770.
    assert!(page.contains("0.667 (0.488 to 0.808)"), "{page}");
    assert!(
        page.contains("<td>30</td><td>30</td><td>0</td><td>0</td><td>6.0 s</td><td>3 min</td>")
    );
    assert_eq!(page.matches("<svg").count(), 5);
    for foreign in ["<script", "src=", "href=", "url(", "@import"] {
        assert!(!page.contains(foreign), "it loads something by {foreign}");
    }
}

#[test]
fn a_session_without_labels_is_reported_and_one_that_is_not_there_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let (images, home) = (folder.path().join("films"), folder.path().join("home"));
    films(&images, 4);
    penumbra(&home, &["import", images.to_str().unwrap(), "--session", "ward"]);
    let out = folder.path().join("ward.html");
    let report = |session: &str, out: &Path| {
        penumbra(&home, &["report", "--session", session, "--out", out.to_str().unwrap()])
    };
    assert_eq!(code(&report("ward", &out)), 0);
    let page = std::fs::read_to_string(&out).unwrap();
    assert!(page.contains("Nobody has answered yet") && !page.contains("NaN"));
    assert_eq!(code(&report("nothing", &folder.path().join("nothing.html"))), 3);
}
