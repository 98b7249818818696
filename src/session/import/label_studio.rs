//! Choices from a JSON export of Label Studio (the format that it calls *JSON*, not *JSON-MIN*).
//!
//! A task has the address of its film in `data` and a list `annotations`, each with who made it and a `result` whose items
//! of type `choices` are labels. Annotations that were skipped (`was_cancelled`), predictions and drafts are no labels.
//! See <https://labelstud.io/guide/export#Label-Studio-JSON-format-of-annotated-tasks>.

use serde_json::{Map, Value};

use super::{Given, Labels};

/// Fields of `data` that are looked into first.
const FILM_FIELDS: [&str; 6] = ["image", "img", "film", "file", "dicom", "url"];

/// What is wrong with a file as a whole.
#[derive(Debug, thiserror::Error)]
pub enum LabelStudioError {
    /// It is no JSON.
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    /// It is JSON, but not a list of tasks.
    #[error("it holds no list of tasks")]
    NoTasks,
    /// A task is of another of Label Studio's formats.
    #[error(
        "task {0} has no list of annotations; export as JSON, not as JSON-MIN or another format"
    )]
    NoAnnotations(String),
}

/// Reads the choices of every annotation that was submitted, in the order of the file.
///
/// # Errors
/// [`LabelStudioError`] if the file is of another format as a whole.
pub fn parse_label_studio(bytes: &[u8]) -> Result<Labels, LabelStudioError> {
    let tasks: Value = serde_json::from_slice(bytes)?;
    let tasks = tasks.as_array().ok_or(LabelStudioError::NoTasks)?;
    let mut labels = Labels::default();
    for (number, task) in tasks.iter().enumerate() {
        let id = identity(task, number);
        // `completions` is what early versions called them.
        let annotations = task.get("annotations").or_else(|| task.get("completions"));
        let Some(annotations) = annotations.and_then(Value::as_array) else {
            return Err(LabelStudioError::NoAnnotations(id));
        };
        for (number, annotation) in annotations.iter().enumerate() {
            if annotation.get("was_cancelled").and_then(Value::as_bool) == Some(true) {
                continue;
            }
            let place = format!("task {id}, annotation {}", identity(annotation, number));
            match read_annotation(task, annotation) {
                Ok((file, label, reader)) => {
                    labels.given.push(Given { place, file, label, reader });
                }
                Err(fault) => labels.problems.push(format!("{place}: {fault}")),
            }
        }
    }
    Ok(labels)
}

/// Names a task or an annotation by its id, else by its place in the list.
fn identity(of: &Value, number: usize) -> String {
    of.get("id").map_or_else(|| format!("number {}", number + 1), Value::to_string)
}

/// Reads film, label and reader; the error says what is missing.
fn read_annotation(
    task: &Value,
    annotation: &Value,
) -> Result<(String, String, Option<String>), &'static str> {
    let data = task.get("data").and_then(Value::as_object);
    let film = data.and_then(film).ok_or("it names no film")?;
    Ok((film, choice(annotation)?, annotation.get("completed_by").and_then(reader)))
}

/// Finds the film's path or address: a field that is known, else the only text.
fn film(data: &Map<String, Value>) -> Option<String> {
    let known = FILM_FIELDS.iter().find_map(|field| data.get(*field)?.as_str());
    let mut texts = data.values().filter_map(Value::as_str);
    let text = known.or_else(|| texts.next().filter(|_| texts.next().is_none()))?;
    // Films served from a folder are named in the query.
    let path = match text.split_once("?d=") {
        Some((_, path)) => path,
        None => text.split(['?', '#']).next().unwrap_or(text),
    };
    Some(percent_decoded(path).replace('\\', "/"))
}

/// Replaces `%20` and the like; what is no such thing stays.
fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut place = 0;
    while let Some(&byte) = bytes.get(place) {
        let digit = |offset: usize| char::from(*bytes.get(place + offset)?).to_digit(16);
        if let Some((high, low)) = digit(1).zip(digit(2)).filter(|_| byte == b'%') {
            decoded.push((16 * high + low) as u8);
            place += 3;
        } else {
            decoded.push(byte);
            place += 1;
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

/// Reads the one choice of an annotation.
fn choice(annotation: &Value) -> Result<String, &'static str> {
    let items = annotation.get("result").and_then(Value::as_array);
    let items = items.ok_or("it has no list of results")?;
    let of_type = |item: &&Value| item.get("type").and_then(Value::as_str) == Some("choices");
    let choices = items
        .iter()
        .filter(of_type)
        .filter_map(|item| item.get("value")?.get("choices")?.as_array())
        .flatten();
    let mut texts: Vec<&str> = choices.filter_map(Value::as_str).collect();
    texts.sort_unstable();
    texts.dedup();
    match texts[..] {
        [text] => Ok(text.to_owned()),
        [] => Err("it has no choice"),
        _ => Err("it has several choices, and a film has one label"),
    }
}

/// Names a reader: the mail address or else the number of the account.
fn reader(completed_by: &Value) -> Option<String> {
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(format!("annotator {number}")),
        _ => None,
    };
    match completed_by {
        Value::Object(account) => {
            account.get("email").and_then(text).or_else(|| account.get("id").and_then(text))
        }
        other => text(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Labels {
        parse_label_studio(text.as_bytes()).unwrap()
    }

    /// A task as Label Studio 1.21 exports it, shortened.
    const TASK: &str = r#"[{"id":7,"data":{"image":"/data/upload/2/0a1b2c3d-film%201.png","note":"x"},
        "annotations":[
          {"id":31,"completed_by":{"id":2,"email":"a@b.c"},"was_cancelled":false,"result":[
            {"id":"q","type":"choices","from_name":"c","to_name":"image","value":{"choices":["Pneumonia"]}}]},
          {"id":32,"completed_by":5,"was_cancelled":true,"result":[]},
          {"id":33,"completed_by":5,"result":[{"type":"rectanglelabels","value":{"x":1}}]}],
        "predictions":[{"result":[{"type":"choices","value":{"choices":["Normal"]}}]}]}]"#;

    #[test]
    fn submitted_choices_are_labels_and_nothing_else_is() {
        let Labels { given, problems } = parse(TASK);
        let expected = Given {
            place: "task 7, annotation 31".to_owned(),
            file: "/data/upload/2/0a1b2c3d-film 1.png".to_owned(),
            label: "Pneumonia".to_owned(),
            reader: Some("a@b.c".to_owned()),
        };
        assert_eq!(given, [expected]);
        assert_eq!(problems, ["task 7, annotation 33: it has no choice"]);
    }

    #[test]
    fn what_is_no_export_says_so() {
        for (text, why) in [
            ("", "EOF"),
            ("{}", "no list of tasks"),
            (
                r#"[{"id":3,"image":"a.png","choice":"Normal"}]"#,
                "task 3 has no list of annotations",
            ),
            ("[null]", "task number 1 has no list"),
        ] {
            let error = parse_label_studio(text.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn films_are_named_by_known_fields_or_the_only_text() {
        let named = |data: &str| {
            let annotation = r#"{"result":[{"type":"choices","value":{"choices":["n"]}}]}"#;
            let labels = parse(&format!(r#"[{{"data":{data},"annotations":[{annotation}]}}]"#));
            labels.given.first().map(|given| given.file.clone())
        };
        let some = |file: &str| Some(file.to_owned());
        assert_eq!(named(r#"{"x":"/data/local-files/?d=a%2Fb.png"}"#), some("a/b.png"));
        assert_eq!(
            named(r#"{"z":"n","file":"https://h/a/b.png?token=1"}"#),
            some("https://h/a/b.png")
        );
        assert_eq!(named(r#"{"x":"a\\b%2.png","n":4}"#), some("a/b%2.png"));
        assert_eq!(named(r#"{"x":"a.png","y":"b.png"}"#), None);
        assert_eq!(named("3"), None);
    }
}
