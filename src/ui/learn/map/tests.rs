use super::*;
use crate::features::Embeddings;

#[test]
fn a_line_holds_what_lies_within_it_though_it_bends() {
    // A horseshoe.
    let line = [
        (0.0, 0.0),
        (3.0, 0.0),
        (3.0, 3.0),
        (2.0, 3.0),
        (2.0, 1.0),
        (1.0, 1.0),
        (1.0, 3.0),
        (0.0, 3.0),
    ];
    let line = line.map(|(x, y)| pos2(x, y));
    assert!(within(&line, pos2(0.5, 2.0)) && within(&line, pos2(2.5, 2.0)));
    assert!(!within(&line, pos2(1.5, 2.0)), "the gap is outside");
    assert!(!within(&line, pos2(-1.0, 0.5)) && !within(&line, pos2(4.0, 0.5)));
    assert!(!within(&[], pos2(0.0, 0.0)) && !within(&line[..1], pos2(0.0, 0.0)));
}

#[test]
fn places_fill_the_square_in_their_proportions() {
    let placed = normalised(&[[0.0, 0.0], [10.0, 5.0], [f32::NAN, 1.0]]);
    assert_eq!((placed[0].x, placed[1].x), (0.0, 1.0));
    assert_eq!((placed[0].y, placed[1].y), (0.75, 0.25), "upwards is up");
    assert!(placed.iter().all(|place| place.x.is_finite() && place.y.is_finite()));
    assert!(normalised(&[]).is_empty());
}

#[test]
fn a_line_around_films_picks_them_in_one_mesh() {
    let places = normalised(&[[0.0, 0.0], [1.0, 1.0], [0.5, 0.5]]);
    let drawn = mesh(&places, &[theme::LATER; 3], theme::LATER, |place| place);
    assert_eq!((drawn.vertices.len(), drawn.indices.len()), (12, 18));
    assert_eq!(nearest(&places, places[1], |place| place * 500.0), None);
    assert_eq!(nearest(&places, places[1] * 500.0, |place| place * 500.0), Some(1));
}

#[test]
fn the_neighbour_embedding_is_shown_when_it_comes_but_not_against_a_choice() {
    let map = |neighbours: Option<Vec<[f32; 2]>>| {
        Arc::new(FilmMap {
            model: "demo".to_owned(),
            components: vec![[0.0, 0.0]],
            explained: 0.3,
            neighbours,
            clusters: vec![0],
            directions: Embeddings::new(1, vec![1.0]).unwrap(),
        })
    };
    let mut tab = MapTab::default();
    tab.take(map(None));
    assert_eq!(tab.layout, Layout::Components);
    tab.take(map(Some(vec![[1.0, 1.0]])));
    assert_eq!(tab.layout, Layout::Neighbours);
    tab.layout = Layout::Components;
    tab.take(map(Some(vec![[2.0, 1.0]])));
    assert_eq!(tab.layout, Layout::Components);
}
