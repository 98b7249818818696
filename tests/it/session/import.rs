//! Labels of other programs: what fits is entered, what does not is named, and nothing that stands is changed.

use std::fs;

use penumbra::session::import::{Labels, Plan, plan, read_labels_of};
use penumbra::session::{Answer, Event, Header, Session, Source, State};

use super::{READER, class, film, label, scratch};

const FILMS: [&str; 5] = ["a/1.png", "a/2.png", "b/1.png", "b/3.png", "4.png"];

fn films() -> Vec<(&'static str, penumbra::dataset::FilmId)> {
    FILMS.iter().zip(0..).map(|(file, number)| (*file, film(number))).collect()
}

fn read(name: &str, text: &str) -> Labels {
    let folder = scratch();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    read_labels_of(&path).unwrap()
}

fn planned(labels: &Labels, state: &State) -> Plan {
    plan(labels, &films(), state, "import", "labels.csv")
}

fn said(plan: &Plan) -> Vec<(String, u64, Answer)> {
    let place = |id| (0..5).find(|&number| film(number) == id).unwrap();
    let of = |(reader, event): &(String, Event)| match event {
        Event::Label { film, answer, source: Source::Import { file }, .. } => {
            assert_eq!(file, "labels.csv");
            (reader.clone(), place(*film), answer.clone())
        }
        other => panic!("{other:?}"),
    };
    plan.events.iter().map(of).collect()
}

#[test]
fn what_fits_is_entered_and_what_does_not_is_named() {
    let folder = scratch();
    let mut session = Session::create(folder.path(), Header::new("test", "/films")).unwrap();
    session.append(READER, label(film(3), class("normal"))).unwrap();
    let labels = read(
        "labels.csv",
        "file,label,reader\n\
         a/1.png,Normal,\n\
         a/1.png,normal,R7\n\
         a/2.png,PNEUMONIA,R7\n\
         a/2.png,normal,R7\n\
         1.png,normal,\n\
         9.png,normal,\n\
         4.png,fracture,\n\
         b/3.png,normal,\n\
         b/3.png,pneumonia,\n\
         /mnt/films/4.png,uninterpretable,\n",
    );
    let plan = planned(&labels, session.state());
    let (import, other) = ("import".to_owned(), "R7".to_owned());
    let expected = [
        (import.clone(), 0, class("normal")),
        (other, 1, class("pneumonia")),
        (import, 4, Answer::Uninterpretable),
    ];
    assert_eq!(said(&plan), expected);
    assert_eq!(plan.known, 2, "line 3 repeats line 2, and line 9 what stands");
    let expected = [
        "line 5: it says \"normal\", and line 4 says \"pneumonia\": a/2.png",
        "line 6: this can be 2 films of the session: a/1.png, b/1.png: 1.png",
        "line 7: the session has no such film: 9.png",
        "line 8: the session has no class \"fracture\"; it has normal, pneumonia: 4.png",
        "line 10: it says \"pneumonia\", and the film has the answer \"normal\" of R1, which stays: b/3.png",
    ];
    assert_eq!(plan.problems, expected);
    for (reader, event) in plan.events {
        session.append(&reader, event).unwrap();
    }
    let again = planned(&labels, session.state());
    assert!(again.events.is_empty(), "what is there already is not entered twice");
    assert_eq!(again.known, 5);
}

#[test]
fn label_studio_names_films_in_its_own_ways() {
    let folder = scratch();
    let session = Session::create(folder.path(), Header::new("test", "/films")).unwrap();
    let task = |id: u32, image: &str, choice: &str| {
        format!(
            r#"{{"id":{id},"data":{{"image":"{image}"}},"annotations":[{{"id":1{id},"completed_by":3,"result":[{{"type":"choices","value":{{"choices":["{choice}"]}}}}]}}]}}"#
        )
    };
    let text = [
        task(1, "/data/upload/1/01234abc-3.png", "Pneumonia"),
        task(2, "/data/local-files/?d=ward%2Fa%2F1.png", "Normal"),
        task(3, "s3://bucket/b/1.png", "Normal"),
        task(4, "/data/upload/1/01234abc-1.png", "Normal"),
        task(5, "/data/upload/1/4.png", "Fracture"),
        r#"{"id":6,"data":{"image":"4.png"},"annotations":[]}"#.to_owned(),
    ];
    let labels = read("export.json", &format!("[{}]", text.join(",")));
    let plan = planned(&labels, session.state());
    let by = || "annotator 3".to_owned();
    let expected =
        [(by(), 3, class("pneumonia")), (by(), 0, class("normal")), (by(), 2, class("normal"))];
    assert_eq!(said(&plan), expected);
    assert_eq!(plan.problems.len(), 2, "{:?}", plan.problems);
    assert!(plan.problems[0].starts_with("task 4, annotation 14: this can be 2 films"));
    assert!(plan.problems[1].starts_with("task 5, annotation 15: the session has no class"));
}

#[test]
fn files_that_are_no_labels_are_named() {
    let folder = scratch();
    for (name, text, why) in [
        ("labels.csv", "file,class\na,b\n", "line 1 must name one column \"label\""),
        ("export.json", "[{]", "no JSON export of Label Studio"),
        ("min.JSON", r#"[{"id":1,"image":"a.png","choice":"Normal"}]"#, "not as JSON-MIN"),
    ] {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let error = read_labels_of(&path).unwrap_err().to_string();
        assert!(error.contains(why) && error.ends_with(name), "{error}");
    }
}
