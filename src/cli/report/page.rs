//! The page: plain HTML with its style and its pictures in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io;

use crate::chart::svg;
use crate::cli::agreement::print;
use crate::dataset::FilmRecord;
use crate::learn::figures::Figure;
use crate::model::folder::ModelCard;
use crate::session::agreement::report;
use crate::session::{Event, Snapshot, Source};
use crate::study::charts::{Charts, charts};

/// What a report is made from.
pub struct Contents<'a> {
    /// Name of the session.
    pub name: &'a str,
    /// The session.
    pub snapshot: &'a Snapshot,
    /// Its films.
    pub films: &'a [FilmRecord],
    /// Name of the model in use and its card, or why that cannot be read; `None` while it is the pretrained one.
    pub model: Option<(&'a str, &'a Result<ModelCard, String>)>,
}

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:52rem;margin:2rem auto;padding:0 1rem;color:#1c2024}\
h1{font-size:1.5rem}h2{font-size:1.1rem;margin-top:2rem;border-bottom:1px solid #c6cbd2}table{border-collapse:collapse}\
th,td{text-align:left;padding:.15rem .9rem .15rem 0;vertical-align:top;font-variant-numeric:tabular-nums}\
th{font-weight:normal;color:#4b525a}code{font-size:.85em;overflow-wrap:anywhere}svg{max-width:100%;height:auto}\
pre{font-size:.8em;overflow-x:auto}.small{color:#4b525a;font-size:.87em}";

/// Writes the page.
///
/// # Errors
/// Fails if a chart cannot be drawn.
pub fn html(contents: &Contents<'_>) -> anyhow::Result<String> {
    let header = &contents.snapshot.header;
    let found = charts(contents.snapshot);
    let mut page = String::new();
    let title = escaped(contents.name);
    _ = write!(
        page,
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" \
         content=\"width=device-width\"><meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'\"><title>Penumbra: {title}</title><style>{STYLE}</style></head><body>\n\
         <h1>{title}</h1>\n<p class=\"small\">Labelling session, begun {} with Penumbra {}, reported by Penumbra {}. \
         Research software, not a medical device.</p>\n",
        escaped(&header.created.to_string()),
        escaped(&header.app_version),
        env!("CARGO_PKG_VERSION")
    );
    data(&mut page, contents);
    readers(&mut page, contents.snapshot);
    agreement(&mut page, contents)?;
    figures(&mut page, &found);
    curves(&mut page, &found)?;
    models(&mut page, contents);
    log(&mut page, contents.snapshot);
    page.push_str("</body></html>\n");
    Ok(page)
}

/// Makes a text safe between tags and in quotes.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            '\'' => safe.push_str("&#39;"),
            letter => safe.push(letter),
        }
    }
    safe
}

fn table(page: &mut String, headings: &[&str], rows: &[Vec<String>]) {
    page.push_str("<table>");
    if !headings.is_empty() {
        line(page, "th", headings.iter().copied());
    }
    for row in rows {
        line(page, "td", row.iter().map(String::as_str));
    }
    page.push_str("</table>\n");
}

fn line<'a>(page: &mut String, tag: &str, cells: impl Iterator<Item = &'a str>) {
    page.push_str("<tr>");
    for cell in cells {
        _ = write!(page, "<{tag}>{}</{tag}>", escaped(cell));
    }
    page.push_str("</tr>\n");
}

fn share(n: usize, of: usize) -> String {
    if of == 0 { "–".to_owned() } else { format!("{:.1} %", 100.0 * n as f64 / of as f64) }
}

/// What `penumbra agreement` prints, where several have read.
fn agreement(
    page: &mut String,
    Contents { name, snapshot, films, .. }: &Contents<'_>,
) -> io::Result<()> {
    if snapshot.state.readers().len() < 2 {
        return Ok(());
    }
    let patients = films.iter().map(|film| (film.id, film.patient.clone())).collect();
    let mut text = Vec::new();
    print(&mut text, name, &report(&snapshot.state, &patients))?;
    let text = String::from_utf8_lossy(&text);
    _ = writeln!(page, "<h2>Agreement</h2>\n<pre>{}</pre>", escaped(&text));
    Ok(())
}

fn data(page: &mut String, contents: &Contents<'_>) {
    let Snapshot { header, state, .. } = contents.snapshot;
    let counts = state.counts();
    let films = contents.films.len();
    let patients: BTreeSet<&str> =
        contents.films.iter().map(|film| film.patient.as_str()).collect();
    page.push_str("<h2>Data</h2>\n");
    let reference = match state.curve().last() {
        Some(point) => format!("{} films with known labels, never shown to the reader", point.n),
        None if header.reference.is_some() => "named, not measured on yet".to_owned(),
        None => "none".to_owned(),
    };
    let rows = [
        ("Films", films.to_string()),
        ("Patient groups", patients.len().to_string()),
        ("With an answer", format!("{} ({})", counts.labelled(), share(counts.labelled(), films))),
        ("Reference set", reference),
        ("Drawn at random", format!("{} of the readings, by design", share_of(header.audit_share))),
        ("Seed", header.seed.to_string()),
    ];
    table(page, &[], &rows.map(|(name, value)| vec![name.to_owned(), value]));
    let labelled = counts.labelled();
    let mut rows: Vec<Vec<String>> = header
        .classes
        .iter()
        .zip(&counts.classes)
        .map(|(class, &n)| vec![class.name.clone(), n.to_string(), share(n, labelled)])
        .collect();
    let n = counts.uninterpretable;
    rows.push(vec!["uninterpretable".to_owned(), n.to_string(), share(n, labelled)]);
    rows.push(vec!["put off".to_owned(), counts.skipped.to_string(), String::new()]);
    table(page, &["Answer", "Films", "Share of answers"], &rows);
    page.push_str(
        "<p class=\"small\">A strategy chose most films for what they teach, so shares here are not those of the films at \
         large.</p>\n",
    );
}

fn share_of(share: f32) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// What a reader did.
#[derive(Default)]
struct Reader {
    films: usize,
    chosen: usize,
    drawn: usize,
    changed: usize,
    times: Vec<u64>,
}

fn readers(page: &mut String, snapshot: &Snapshot) {
    let mut readers: BTreeMap<&str, Reader> = BTreeMap::new();
    for entry in &snapshot.entries {
        let reader = readers.entry(&entry.reader).or_default();
        match &entry.event {
            Event::Label { ms, source, .. } => {
                reader.films += 1;
                reader.times.push(*ms);
                reader.drawn += usize::from(matches!(source, Source::Audit { .. }));
                reader.chosen += usize::from(matches!(source, Source::Browse));
            }
            Event::Relabel { ms, .. } => {
                reader.changed += 1;
                reader.times.push(*ms);
            }
            _ => {}
        }
    }
    page.push_str("<h2>Readers</h2>\n");
    let rows: Vec<Vec<String>> = readers
        .into_iter()
        .filter(|(_, reader)| reader.films + reader.changed > 0)
        .map(|(name, mut reader)| {
            reader.times.sort_unstable();
            let median = reader.times.get(reader.times.len() / 2).copied().unwrap_or(0);
            let minutes = reader.times.iter().sum::<u64>() as f64 / 60_000.0;
            vec![
                name.to_owned(),
                reader.films.to_string(),
                reader.drawn.to_string(),
                reader.chosen.to_string(),
                reader.changed.to_string(),
                format!("{:.1} s", median as f64 / 1000.0),
                format!("{minutes:.0} min"),
            ]
        })
        .collect();
    if rows.is_empty() {
        page.push_str("<p>Nobody has answered yet.</p>\n");
        return;
    }
    let headings =
        ["Reader", "Answers", "Drawn at random", "Chosen by hand", "Changed", "Median", "In all"];
    table(page, &headings, &rows);
    page.push_str("<p class=\"small\">Answers that were taken back later are among them.</p>\n");
}

fn figures(page: &mut String, found: &Charts) {
    let Some(stream) = &found.stream else { return };
    let n = stream.figures.n;
    _ = write!(
        page,
        "<h2>Figures on films drawn at random</h2>\n<p class=\"small\">n = {n}, each predicted before its label by the model \
         that was in use then; 95 % intervals.</p>\n"
    );
    let rows: Vec<Vec<String>> = Figure::ALL
        .into_iter()
        .map(|figure| {
            let value = stream.figures.get(figure).map_or_else(
                || "undefined: a class has no film".to_owned(),
                |e| format!("{:.3} ({:.3} to {:.3})", e.value, e.low, e.high),
            );
            vec![figure.name().to_owned(), value, figure.interval().to_owned()]
        })
        .collect();
    table(page, &["Figure", "Value", "Interval"], &rows);
}

fn curves(page: &mut String, found: &Charts) -> anyhow::Result<()> {
    if found.charts.is_empty() {
        return Ok(());
    }
    page.push_str("<h2>Curves</h2>\n");
    for chart in &found.charts {
        let label = escaped(&chart.title);
        let picture = svg(chart)?;
        _ = writeln!(page, "<figure role=\"img\" aria-label=\"{label}\">{picture}</figure>");
    }
    Ok(())
}

fn models(page: &mut String, contents: &Contents<'_>) {
    page.push_str("<h2>Models</h2>\n");
    let rows: Vec<Vec<String>> = contents
        .snapshot
        .entries
        .iter()
        .filter_map(|entry| match &entry.event {
            Event::ModelSwap { model, accepted, reason, labels, .. } => Some(vec![
                model.clone(),
                labels.to_string(),
                if *accepted { "taken into use" } else { "not taken" }.to_owned(),
                reason.clone(),
            ]),
            _ => None,
        })
        .collect();
    if rows.is_empty() {
        page.push_str(
            "<p>The pretrained encoder served throughout; no model was made from the labels.</p>\n",
        );
    } else {
        table(page, &["Model", "Labels", "", "Why"], &rows);
    }
    match contents.model {
        Some((name, Ok(card))) => {
            _ = writeln!(page, "<h3>Model card of {}</h3>", escaped(name));
            let json = serde_json::to_string_pretty(card).unwrap_or_default();
            _ = writeln!(page, "<pre>{}</pre>", escaped(&json));
        }
        Some((name, Err(error))) => {
            let text = format!("The card of {name} cannot be read: {error}");
            _ = writeln!(page, "<p>{}</p>", escaped(&text));
        }
        None => {}
    }
}

fn log(page: &mut String, snapshot: &Snapshot) {
    page.push_str("<h2>Log</h2>\n");
    let last =
        snapshot.entries.last().map_or_else(|| "–".to_owned(), |entry| entry.time.to_string());
    let rows = [
        ("Session", snapshot.header.id.clone()),
        ("Events", snapshot.entries.len().to_string()),
        ("Last event", last),
        ("Head of the log", snapshot.head.to_string()),
    ];
    table(page, &[], &rows.map(|(name, value)| vec![name.to_owned(), value]));
    page.push_str(
        "<p class=\"small\">Each line of the log carries the hash of the line before it: the head stands for all of them. \
         <code>penumbra verify</code> checks it.</p>\n",
    );
    if !snapshot.torn.is_empty() {
        page.push_str(
            "<p>An unfinished last line is left out; the next start sets it aside.</p>\n",
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_a_reader_typed_becomes_markup() {
        assert_eq!(escaped("<b> & \"x\" 'y'"), "&lt;b&gt; &amp; &quot;x&quot; &#39;y&#39;");
        let mut page = String::new();
        table(&mut page, &["A"], &[vec!["<script>".to_owned()]]);
        assert!(!page.contains("<script>") && page.contains("&lt;script&gt;"));
    }
}
