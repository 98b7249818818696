use super::*;
use crate::session::{Entry, Event, Header, Opinion, Protocol, Shown, Time};

fn film(number: u64) -> FilmId {
    FilmId::of(&number.to_le_bytes())
}

fn class(name: &str) -> Answer {
    Answer::Class(name.to_owned())
}

fn shown() -> Shown {
    Shown {
        model: String::new(),
        window_centre: 0.0,
        window_width: 1.0,
        zoom: 1.0,
        inverted: false,
        mirrored: false,
        quarter_turns: 0,
        opinion_visible: false,
        opinion: None,
    }
}

struct Log(State);

impl Log {
    fn new() -> Self {
        Self(State::new(&Header::new("test", "/films")))
    }

    fn enter(&mut self, reader: &str, event: Event) {
        let seq = self.0.entries();
        let time = Time::from_milliseconds(1000 * seq as i64);
        self.0.apply(&Entry { seq, time, reader: reader.to_owned(), event }).unwrap();
    }

    fn label(&mut self, reader: &str, number: u64, name: &str, source: Source) {
        let film = film(number);
        let event = Event::Label { film, answer: class(name), ms: 1, source, shown: shown() };
        self.enter(reader, event);
    }

    fn exposed(&mut self, reader: &str, number: u64, name: &str, exposure: Exposure, held: &str) {
        let opinion = Opinion { exposure, class: held.to_owned(), probability: 0.8 };
        let opinion_visible = exposure == Exposure::Before;
        let shown = Shown { opinion: Some(opinion), opinion_visible, ..shown() };
        let (film, answer, source) = (film(number), class(name), Source::Browse);
        self.enter(reader, Event::Label { film, answer, ms: 1, source, shown });
    }
}

fn drawn() -> Source {
    Source::Audit { predicted: vec![0.5, 0.5], probability: 0.1 }
}

fn queue() -> Source {
    Source::Queue { strategy: "margin".to_owned(), rank: 0 }
}

#[test]
fn films_of_the_random_stream_are_kept_apart_from_chosen_ones() {
    let mut log = Log::new();
    let second = |doubted| Source::Second { doubted };
    for (number, one, other) in [
        (0, drawn(), second(false)),
        (1, drawn(), drawn()),
        (2, drawn(), queue()),
        (3, queue(), second(false)),
        (4, drawn(), second(true)),
    ] {
        log.label("R1", number, "normal", one);
        log.label("R2", number, if number == 0 { "pneumonia" } else { "normal" }, other);
    }
    log.label("R1", 5, "normal", drawn());
    let report = report(&log.0, &BTreeMap::new());
    assert_eq!((report.random.films, report.random.readings), (2, 4));
    assert_eq!((report.chosen.films, report.chosen.readings), (3, 6));
    assert_eq!(report.random.agreement.unwrap().value, 0.5);
    assert_eq!(report.random.pairs[0].table, [[1, 1], [0, 0]]);
    assert_eq!(report.answers, ["normal", "pneumonia"]);
    assert_eq!((report.disputed, report.adjudicated), (1, 0));
    let settled: Vec<usize> = report.consensus.iter().map(|settled| settled.films).collect();
    assert_eq!(settled, [4, 4, 4]);
    let ceiling = ceiling(&log.0, &BTreeMap::new()).unwrap();
    assert_eq!((ceiling.films, ceiling.unbiased, ceiling.agreement.value), (5, false, 0.8));
}

#[test]
fn the_ceiling_is_of_the_random_stream_once_there_are_enough_and_patients_count_once() {
    let mut log = Log::new();
    assert_eq!(ceiling(&log.0, &BTreeMap::new()), None);
    for number in 0..40 {
        let source = if number < 20 { drawn() } else { queue() };
        log.label("R1", number, "normal", source);
        assert_eq!(ceiling(&log.0, &BTreeMap::new()).is_some(), number > 0);
        let other = if number % 4 == 0 { "pneumonia" } else { "normal" };
        log.label("R2", number, other, Source::Second { doubted: false });
    }
    let alone = ceiling(&log.0, &BTreeMap::new()).unwrap();
    assert_eq!((alone.films, alone.unbiased, alone.agreement.value), (20, true, 0.75));
    let patients = (0..20).map(|number| (film(number), (number % 4).to_string())).collect();
    let grouped = ceiling(&log.0, &patients).unwrap();
    assert_eq!(grouped.agreement.value, 0.75);
    assert!(grouped.agreement.low < alone.agreement.low, "{grouped:?} {alone:?}");
}

#[test]
fn what_a_reader_said_at_first_is_compared_and_what_stands_counts() {
    let mut log = Log::new();
    log.label("R1", 0, "normal", drawn());
    log.label("R2", 0, "pneumonia", drawn());
    let (from, to) = (class("pneumonia"), class("normal"));
    let reason = "Discussed with a colleague".to_owned();
    log.enter("R2", Event::Relabel { film: film(0), from, to, reason, ms: 1 });
    let report = report(&log.0, &BTreeMap::new());
    assert_eq!(report.random.agreement.unwrap().value, 0.0);
    assert_eq!(report.disputed, 0);
}

#[test]
fn second_readings_give_agreement_with_oneself() {
    let mut log = Log::new();
    for (number, first, again) in
        [(0, "normal", "normal"), (1, "pneumonia", "normal"), (2, "pneumonia", "pneumonia")]
    {
        log.label("R1", number, first, queue());
        log.label("R1", number, again, Source::Reread);
    }
    let report = report(&log.0, &BTreeMap::new());
    let [intra] = &report.rereads[..] else { panic!("{:?}", report.rereads) };
    assert_eq!((intra.films, intra.reader.as_str()), (3, "R1"));
    assert!((intra.agreement.unwrap().value - 2.0 / 3.0).abs() < 1e-12);
    // By hand: 2/3 observed, 1/3 · 2/3 + 2/3 · 1/3 expected.
    assert!((intra.cohen.unwrap().value - 0.4).abs() < 1e-12);
    assert_eq!(log.0.label(film(1)).unwrap().answer, class("pneumonia"), "the first answer stands");
}

#[test]
fn following_the_model_is_measured_by_when_its_opinion_was_shown() {
    use Exposure::{After, Before, Never};
    let mut log = Log::new();
    // The model says pneumonia of every film. Told so, R1 says so too; otherwise only of every second film.
    for number in 0..40 {
        let exposure = if number < 20 {
            Before
        } else if number < 30 {
            After
        } else {
            Never
        };
        let answer = if number < 20 || number % 2 == 0 { "pneumonia" } else { "normal" };
        log.exposed("R1", number, answer, exposure, "pneumonia");
        log.label("R2", number, if number % 2 == 0 { "pneumonia" } else { "normal" }, queue());
    }
    let report = report(&log.0, &BTreeMap::new());
    let arm = |exposure| report.exposure.iter().find(|arm| arm.exposure == exposure).unwrap();
    for (exposure, labels, followed, right, misled) in
        [(Before, 20, 1.0, 0.5, 1.0), (After, 10, 0.5, 1.0, 0.0), (Never, 10, 0.5, 1.0, 0.0)]
    {
        let arm = arm(exposure);
        assert_eq!((arm.labels, arm.checked, arm.model_wrong), (labels, labels, labels / 2));
        let values = [&arm.with_model, &arm.right, &arm.misled].map(|value| value.unwrap().value);
        assert_eq!(values, [followed, right, misled], "{exposure}");
    }
    let bias = report.automation_bias.unwrap();
    assert_eq!(bias.value, 0.5);
    assert!(bias.low > 0.2 && bias.high < 0.8, "{bias:?}");
}

#[test]
fn an_adjudication_settles_a_film_and_can_be_taken_back() {
    let mut log = Log::new();
    log.label("R1", 0, "normal", drawn());
    log.label("R2", 0, "pneumonia", drawn());
    log.label("R1", 1, "normal", drawn());
    assert_eq!(log.0.to_adjudicate("R2").count(), 0, "who read a film does not settle it");
    assert_eq!(log.0.to_adjudicate("R3").collect::<Vec<_>>(), [film(0)]);
    assert_eq!(log.0.answers(film(0)), [class("normal"), class("pneumonia")]);
    let (answer, between) = (class("pneumonia"), log.0.answers(film(0)));
    log.enter("R3", Event::Adjudicate { film: film(0), answer, between, ms: 9, shown: shown() });
    let verdict = |log: &Log, rule| log.0.consensus(film(0), rule).answer().cloned();
    assert_eq!(verdict(&log, Rule::Adjudicator), Some(class("pneumonia")));
    assert_eq!((verdict(&log, Rule::Unanimous), verdict(&log, Rule::Majority)), (None, None));
    assert_eq!(log.0.label(film(0)).unwrap().answer, class("normal"), "labels stay");
    assert_eq!((log.0.disputed().count(), log.0.adjudications().count()), (0, 1));
    let (seq, settled) = log.0.last_adjudication("R3").unwrap();
    assert_eq!((settled, log.0.last_adjudication("R1")), (film(0), None));
    log.enter("R3", Event::Undo { seq });
    assert_eq!(log.0.to_adjudicate("R3").count(), 1);
    log.label("R3", 0, "pneumonia", Source::Browse);
    assert_eq!(verdict(&log, Rule::Majority), Some(class("pneumonia")));
    log.enter("R3", Event::Protocol(Protocol { consensus: Rule::Majority, ..Protocol::default() }));
    assert_eq!(log.0.protocol().map(|protocol| protocol.consensus), Some(Rule::Majority));
}
