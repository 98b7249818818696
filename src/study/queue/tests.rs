use super::*;
use crate::query::Ranked;

fn ranking(films: usize, order: &[usize]) -> Arc<Ranking> {
    let order =
        order.iter().map(|&index| Ranked { index, score: 0.0, reason: Reason::Random }).collect();
    Arc::new(Ranking {
        version: 0,
        labels: 0,
        model: "test".to_owned(),
        asked: Strategy::Margin,
        strategy: Strategy::Margin,
        settled: true,
        penalty: 1.0,
        order,
        probabilities: (0..films).flat_map(|row| [row as f32, 1.0 - row as f32]).collect(),
        reference: None,
        milliseconds: 0.0,
    })
}

fn labelled(rows: &[usize]) -> LabelSet {
    LabelSet { rows: rows.to_vec(), classes: vec![0; rows.len()], ..LabelSet::default() }
}

fn rows(queue: &ReadingQueue, n: usize) -> Vec<usize> {
    queue.upcoming(n).iter().map(|film| film.row).collect()
}

#[test]
fn without_a_ranking_every_film_comes_once_in_random_order() {
    let mut queue = ReadingQueue::new(20, 0.5, 1);
    queue.labels_changed(&LabelSet::default());
    let mut all = rows(&queue, 100);
    assert_ne!(all, (0..20).collect::<Vec<_>>());
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_new_ranking_leaves_the_film_on_screen() {
    let mut queue = ReadingQueue::new(6, 0.0, 1);
    queue.update(ranking(6, &[3, 4, 5]), &LabelSet::default());
    assert_eq!(rows(&queue, 3), [3, 4, 5]);
    queue.update(ranking(6, &[5, 4, 0]), &LabelSet::default());
    assert_eq!(rows(&queue, 3), [3, 5, 4]);
    queue.advance(&labelled(&[3]));
    assert_eq!(rows(&queue, 2), [5, 4]);
}

#[test]
fn an_undone_film_comes_back_to_the_front() {
    let mut queue = ReadingQueue::new(6, 0.0, 1);
    queue.update(ranking(6, &[3, 4, 5]), &LabelSet::default());
    queue.advance(&labelled(&[3]));
    queue.labels_changed(&labelled(&[]));
    queue.show(3);
    assert_eq!(rows(&queue, 2), [3, 4]);
    queue.advance(&labelled(&[3]));
    assert_eq!(rows(&queue, 1), [4]);
}

#[test]
fn a_film_put_off_comes_back_when_all_others_are_read() {
    let mut queue = ReadingQueue::new(3, 0.0, 1);
    queue.update(ranking(3, &[0, 1, 2]), &LabelSet::default());
    let put_off = LabelSet { deferred: vec![0], ..LabelSet::default() };
    queue.advance(&put_off);
    assert_eq!(rows(&queue, 9), [1, 2, 0]);
    queue.advance(&LabelSet { rows: vec![1, 2], classes: vec![0, 0], ..put_off });
    assert_eq!(rows(&queue, 9), [0]);
}

#[test]
fn a_film_put_off_for_some_films_comes_back_after_them() {
    let mut queue = ReadingQueue::new(8, 0.0, 1);
    queue.update(ranking(8, &[0, 1, 2, 3, 4, 5]), &LabelSet::default());
    let put_off = |rows: &[usize], returns: usize| LabelSet {
        deferred: vec![0],
        returns: vec![returns],
        ..labelled(rows)
    };
    queue.advance(&put_off(&[], 2));
    assert_eq!(rows(&queue, 5), [1, 2, 0, 3, 4], "it is read ahead where it comes");
    queue.advance(&put_off(&[1], 1));
    assert_eq!(rows(&queue, 3), [2, 0, 3]);
    queue.advance(&put_off(&[1, 2], 0));
    assert_eq!(rows(&queue, 3), [0, 3, 4]);
    // Put off again, and all others read before it is due.
    queue.advance(&put_off(&[1, 2], 20));
    assert_eq!(rows(&queue, 3), [3, 4, 5]);
    queue.advance(&put_off(&[1, 2, 3, 4, 5, 6, 7], 15));
    assert_eq!(rows(&queue, 3), [0]);
}

#[test]
fn the_film_that_was_on_screen_follows_the_one_brought_back() {
    let mut queue = ReadingQueue::new(6, 0.0, 1);
    queue.update(ranking(6, &[3, 4, 5]), &LabelSet::default());
    queue.advance(&labelled(&[3]));
    assert_eq!(rows(&queue, 1), [4]);
    queue.update(ranking(6, &[5, 0, 4]), &labelled(&[]));
    queue.show(3);
    assert_eq!(rows(&queue, 3), [3, 4, 5], "the film on screen was lost to the new ranking");
    queue.advance(&labelled(&[3]));
    assert_eq!(rows(&queue, 2), [4, 5]);
}

#[test]
fn a_chosen_film_of_the_audit_stream_stays_one() {
    let mut queue = ReadingQueue::new(4, 0.0, 3);
    let source = QueuedSource::Audit { predicted: vec![0.3, 0.7], probability: 0.25 };
    let film = QueuedFilm { row: 2, source, reason: None };
    queue.remember(film.clone());
    assert_eq!(queue.chosen(2), film);
    assert_eq!(queue.chosen(1).source, QueuedSource::Chosen);
}

#[test]
fn an_audit_film_that_is_put_off_stays_one() {
    let mut queue = ReadingQueue::new(4, 1.0, 3);
    queue.update(ranking(4, &[0, 1, 2, 3]), &LabelSet::default());
    let first = queue.upcoming(1).remove(0);
    assert!(matches!(first.source, QueuedSource::Audit { .. }));
    let rest: Vec<usize> = (0..4).filter(|&row| row != first.row).collect();
    let put_off = LabelSet { deferred: vec![first.row], ..LabelSet::default() };
    queue.advance(&put_off);
    queue.advance(&LabelSet { classes: vec![0; 3], rows: rest, ..put_off });
    assert_eq!(queue.upcoming(1), [first]);
}

#[test]
fn an_audit_film_of_an_earlier_sitting_stays_one_however_it_comes_again() {
    let source = QueuedSource::Audit { predicted: vec![0.3, 0.7], probability: 0.25 };
    let film = QueuedFilm { row: 2, source, reason: None };
    let open = LabelSet::default();
    for (share, order, back) in [
        (0.0, vec![0, 1, 2, 3], true),
        (0.0, vec![2, 0, 1, 3], false),
        (0.0, Vec::new(), false),
        (1.0, vec![0, 1, 2, 3], false),
    ] {
        let mut queue = ReadingQueue::new(4, share, 3);
        queue.remember(film.clone());
        queue.update(ranking(4, &order), &open);
        if back {
            queue.show(2);
            assert_eq!(queue.upcoming(1).first(), Some(&film));
        }
        assert!(queue.upcoming(4).contains(&film), "{share} {order:?}");
    }
}

#[test]
fn the_film_read_ahead_is_the_one_that_comes() {
    let mut queue = ReadingQueue::new(50, 0.5, 5);
    queue.update(ranking(50, &(0..50).collect::<Vec<_>>()), &LabelSet::default());
    let mut read = Vec::new();
    for _ in 0..30 {
        let ahead = queue.upcoming(2);
        read.push(ahead[0].row);
        queue.advance(&labelled(&read));
        assert_eq!(queue.upcoming(1)[0].row, ahead[1].row);
    }
}

fn assigned(rows: &[usize], source: &QueuedSource) -> Vec<Assigned> {
    rows.iter().map(|&row| Assigned { row, source: source.clone() }).collect()
}

#[test]
fn films_of_others_come_only_where_assigned_and_are_scattered() {
    let films = 100;
    let mut queue = ReadingQueue::new(films, 0.0, 4);
    let elsewhere: Vec<usize> = (0..40).collect();
    let second = QueuedSource::Second { doubted: false };
    let mut labels =
        LabelSet { elsewhere, assigned: assigned(&[3, 14, 27], &second), ..LabelSet::default() };
    queue.update(ranking(films, &(40..100).collect::<Vec<_>>()), &labels);
    let mut read = Vec::new();
    while let [film, ..] = &queue.upcoming(2)[..] {
        read.push(film.clone());
        labels.assigned.retain(|assigned| assigned.row != film.row);
        labels.shared += usize::from(labels.elsewhere.contains(&film.row));
        labels.elsewhere.retain(|&row| row != film.row);
        labels.rows.push(film.row);
        labels.classes.push(0);
        queue.advance(&labels);
    }
    assert_eq!(read.len(), 63);
    let places: Vec<usize> = (0..63).filter(|&place| read[place].source == second).collect();
    assert_eq!(places.iter().map(|&place| read[place].row).collect::<Vec<_>>(), [3, 14, 27]);
    assert!(places[2] < 40 && places[2] - places[0] > 2, "{places:?}");
}

#[test]
fn a_film_to_be_read_again_stays_on_screen_goes_and_comes_back_when_put_off() {
    let mut queue = ReadingQueue::new(3, 0.0, 1);
    let before =
        LabelSet { assigned: assigned(&[1], &QueuedSource::Reread), ..labelled(&[0, 1, 2]) };
    queue.update(ranking(3, &[]), &before);
    let film = queue.upcoming(3);
    assert_eq!((film.len(), film[0].row, &film[0].source), (1, 1, &QueuedSource::Reread));
    queue.update(ranking(3, &[]), &before);
    assert_eq!(queue.upcoming(3), film, "a ranking leaves it on screen");
    let put_off = LabelSet { deferred: vec![1], ..labelled(&[0, 1, 2]) };
    queue.advance(&put_off);
    assert_eq!(queue.upcoming(3), film, "it comes back as what it was");
    queue.advance(&LabelSet { rereads: 1, ..labelled(&[0, 1, 2]) });
    assert!(queue.upcoming(3).is_empty());
    queue.labels_changed(&before);
    queue.show(1);
    assert_eq!(queue.upcoming(3), film, "taken back, it is read again");
}

#[test]
fn the_audit_share_is_drawn_uniformly_and_carries_the_prediction() {
    let films = 1000;
    let order: Vec<usize> = (0..films).collect();
    let mut queue = ReadingQueue::new(films, 0.2, 9);
    let mut read = Vec::new();
    let mut audited = Vec::new();
    queue.update(ranking(films, &order), &LabelSet::default());
    for _ in 0..500 {
        let film = queue.upcoming(1).remove(0);
        if let QueuedSource::Audit { predicted, .. } = &film.source {
            assert_eq!(predicted[0], film.row as f32);
            audited.push(film.row);
        }
        read.push(film.row);
        queue.advance(&labelled(&read));
    }
    assert!((70..=130).contains(&audited.len()), "{} of 500 were audited", audited.len());
    let beyond_the_ranked = audited.iter().filter(|&&row| row >= 500).count();
    assert!(beyond_the_ranked * 3 > audited.len(), "the audit stream follows the ranking");
}

#[test]
fn what_was_drawn_comes_back_from_the_log_as_what_it_was() {
    let drawn = [
        Source::Audit { predicted: vec![0.4, 0.6], probability: 0.01 },
        Source::Second { doubted: true },
        Source::Reread,
    ];
    for source in drawn {
        assert_eq!(QueuedSource::drawn(&source).unwrap().for_log(), source);
    }
    let rank = QueuedSource::Ranked { strategy: Some(Strategy::Margin), rank: 3 }.for_log();
    assert_eq!(rank, Source::Queue { strategy: "margin".to_owned(), rank: 3 });
    for source in [rank, Source::Browse] {
        assert_eq!(QueuedSource::drawn(&source), None);
    }
}
