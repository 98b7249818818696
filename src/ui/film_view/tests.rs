use egui::{pos2, vec2};
use proptest::prelude::*;

use super::display::{centre, fit_scale, visible};
use super::*;
use crate::imaging::{About, Film, VoiLut};

fn with_about(width: u32, height: u32, about: About) -> LoadedFilm {
    let values = (0..width * height).map(|i| (i % 4096) as u16).collect();
    LoadedFilm::new(Film { width, height, bits: 16, values, about })
}

fn loaded(width: u32, height: u32) -> LoadedFilm {
    with_about(width, height, About::default())
}

fn view(film: &LoadedFilm, width: f32, height: f32) -> FilmView {
    let mut view = FilmView { viewport: vec2(width, height), ..FilmView::default() };
    view.show_film(0);
    view.open(film);
    view
}

fn place(view: &FilmView, film: &LoadedFilm) -> (f32, Pos2) {
    view.display.place(view.viewport, film)
}

#[test]
fn a_film_fits_on_its_longer_side_however_it_is_turned() {
    let film = loaded(1000, 1000);
    assert_eq!(place(&view(&film, 800.0, 600.0), &film), (0.6, pos2(500.0, 500.0)));
    let wide = loaded(1600, 100);
    let mut turned = view(&wide, 800.0, 600.0);
    assert_eq!(place(&turned, &wide).0, 0.5);
    turned.execute(UiCommand::RotateRight, Some(&wide), 0.0);
    assert_eq!(place(&turned, &wide).0, 600.0 / 1600.0);
}

proptest! {
    #[test]
    fn the_film_point_under_the_pointer_stays_there_while_zooming(
        quarters in 0_u8..4, mirrored: bool,
        x in -390_f32..390.0, y in -290_f32..290.0,
        factors in proptest::collection::vec(0.3_f32..4.0, 1..5),
    ) {
        let film = loaded(700, 500);
        let mut view = view(&film, 800.0, 600.0);
        view.display.orientation = Orientation { quarters, mirrored };
        let ctx = Context::default();
        let rect = Rect::from_min_size(Pos2::ZERO, view.viewport);
        let pointer = rect.center() + vec2(x, y);
        let under = |view: &FilmView| view.projection(&ctx, &film, rect).to_film(pointer);
        let before = under(&view);
        for factor in factors {
            view.zoom_about(&film, factor, vec2(x, y));
            prop_assert!((under(&view) - before).length() < 0.05);
        }
        view.zoom_about(&film, 1e9, vec2(x, y));
        prop_assert_eq!(place(&view, &film).0, Display::CLOSEST);
        // A drag takes the film along with the pointer.
        let grabbed = under(&view);
        view.display.move_by(view.viewport, &film, vec2(31.0, -17.0));
        let moved = view.projection(&ctx, &film, rect).to_screen(grabbed);
        prop_assert!((moved - (pointer + vec2(31.0, -17.0))).length() < 0.1);
    }
}

#[test]
fn another_film_opens_by_itself_or_as_the_one_before() {
    let (film, larger) = (loaded(100, 100), loaded(200, 400));
    let mut first = view(&film, 800.0, 600.0);
    first.change_window(&film, vec2(-512.0, 0.0));
    for command in [UiCommand::ZoomIn, UiCommand::ToggleInvert, UiCommand::FlipAcross] {
        first.execute(command, Some(&film), 0.0);
    }
    first.rulers.push(Ruler { from: pos2(0.0, 0.0), to: pos2(9.0, 9.0) });
    first.show_film(0);
    assert!(matches!(first.display.tone, Tone::Hand(_)), "the same film keeps its window");
    assert_eq!(first.rulers.len(), 1);
    first.show_film(1);
    assert!(first.rulers.is_empty(), "a ruler outlived its film");
    let automatic = first.opening(&larger);
    assert_eq!(automatic, Display { invert: true, ..Display::default() });
    first.habits.next_film = NextFilm::Sticky;
    let sticky = first.opening(&larger);
    assert_eq!(sticky.orientation, Orientation::default(), "a film opened mirrored");
    assert!(sticky.invert);
    let share = |display: &Display, film: &LoadedFilm| {
        let window = display.tone.view(film).equivalent();
        let low = film.auto.centre - film.auto.width / 2.0;
        ((window.centre - low) / film.auto.width, window.width / film.auto.width)
    };
    let (before, after) = (share(&first.display, &film), share(&sticky, &larger));
    assert!((before.0 - after.0).abs() < 1e-3 && (before.1 - after.1).abs() < 1e-3);
    assert!((after.1 - 0.5).abs() < 0.01, "512 points are half the range");
    let closer = |display: &Display, film: &LoadedFilm| {
        let fit = fit_scale(first.viewport, film, Orientation::default());
        display.place(first.viewport, film).0 / fit
    };
    assert!((closer(&sticky, &larger) - FilmView::STEP).abs() < 1e-3);
    first.open(&larger);
    first.execute(UiCommand::ResetView, Some(&larger), 0.0);
    assert_eq!(first.display, Display::default());
}

#[test]
fn dragging_right_widens_and_down_darkens_or_brightens_as_set() {
    let film = loaded(64, 64);
    let window = |view: &FilmView, film: &LoadedFilm| view.displayed(film).window;
    let step = film.auto.width / 1024.0;
    let mut dragged = view(&film, 800.0, 600.0);
    dragged.change_window(&film, vec2(10.0, 20.0));
    let moved = window(&dragged, &film);
    assert!((moved.width - film.auto.width - 10.0 * step).abs() < 0.01);
    assert!((moved.centre - film.auto.centre - 20.0 * step).abs() < 0.01);
    dragged.change_window(&film, vec2(-1e9, 1e9));
    let far = window(&dragged, &film);
    assert_eq!((far.width, far.centre), (1.0, film.full.centre + film.full.width));
    // Whatever makes low values bright, down stays darker until the reader says otherwise.
    let negative = with_about(64, 64, About { inverted: true, ..About::default() });
    for (film, invert, down, raises) in [
        (&negative, false, DragDown::Darker, false),
        (&negative, true, DragDown::Darker, true),
        (&film, true, DragDown::Darker, false),
        (&film, false, DragDown::Brighter, false),
        (&negative, false, DragDown::Brighter, true),
    ] {
        let mut view = view(film, 800.0, 600.0);
        (view.display.invert, view.habits.drag_down) = (invert, down);
        view.change_window(film, vec2(0.0, 50.0));
        assert_eq!(window(&view, film).centre > film.auto.centre, raises, "{invert} {down:?}");
    }
}

#[test]
fn a_drag_leaves_the_files_table_from_its_equivalent_window() {
    let table: Vec<u16> = (0..1024_u32).map(|v| (v * v / 16).min(65_535) as u16).collect();
    let lut = std::sync::Arc::new(VoiLut { first: 1000, table });
    let film = with_about(64, 64, About { voi_lut: Some(lut), ..About::default() });
    let mut view = view(&film, 800.0, 600.0);
    let equivalent = film.first.equivalent();
    assert_eq!(view.displayed(&film).window, equivalent);
    view.change_window(&film, vec2(1.0, 0.0));
    let (moved, step) = (view.displayed(&film).window, film.auto.width / 1024.0);
    assert_eq!(moved.centre, equivalent.centre);
    assert!((moved.width - equivalent.width - step).abs() < 0.01);
    view.execute(UiCommand::ResetWindow, Some(&film), 0.0);
    assert_eq!(view.display.tone.view(&film), film.first);
}

#[test]
fn a_small_view_of_a_large_film_draws_a_small_copy() {
    let film = loaded(2048, 2048);
    let extent = vec2(500.0, 500.0);
    let fitted = visible(&film, 500.0 / 2048.0, centre(&film), extent, 8192);
    assert_eq!(fitted, (2, [0, 0, 512, 512]));
    let (level, part) = visible(&film, 1.0, pos2(1024.0, 1024.0), extent, 8192);
    let [x, y, width, height] = part;
    assert_eq!(level, 0);
    assert!(
        x <= 774 && x + width >= 1274 && y <= 774 && y + height >= 1274,
        "{part:?} does not cover the view"
    );
    assert!(width * height < 2048 * 2048 / 2, "{part:?} draws what is out of sight");
    let (_, corner) = visible(&film, 32.0, pos2(-5000.0, 9000.0), extent, 8192);
    assert!(corner[2] > 0 && corner[3] > 0, "a film dragged out of sight still has a part");
}

proptest! {
    #[test]
    fn what_is_drawn_covers_what_of_the_film_is_in_the_view(
        quarters in 0_u8..4, mirrored: bool, closer in 0_i32..12, x in 0_f32..2200.0, y in 0_f32..1500.0,
    ) {
        let film = with_about(2200, 1500, About::default());
        let mut view = view(&film, 700.0, 400.0);
        view.display.orientation = Orientation { quarters, mirrored };
        view.display.zoom = Zoom::At { scale: 0.25 * 1.4_f32.powi(closer), middle: pos2(x, y) };
        let ctx = Context::default();
        let rect = Rect::from_min_size(Pos2::ZERO, view.viewport);
        let shown = view.display.shown(&ctx, view.viewport, &film);
        let projection = view.projection(&ctx, &film, rect);
        let factor = (1 << shown.level) as f32;
        let [px, py, width, height] = shown.part.map(|v| v as f32 * factor);
        let drawn = Rect::from_min_size(pos2(px, py), vec2(width, height)).expand(0.5);
        for step in 0..=20 {
            for other in 0..=20 {
                let at = rect.min + vec2(35.0 * step as f32, 20.0 * other as f32);
                let point = projection.to_film(at);
                let inside = point.x >= 0.0 && point.y >= 0.0 && point.x < 2200.0 && point.y < 1500.0;
                prop_assert!(!inside || drawn.contains(point), "{point:?} is not in {drawn:?}");
            }
        }
    }
}

#[test]
fn a_prepared_film_is_drawn_without_a_new_texture() {
    let ctx = Context::default();
    let (film, next) = (loaded(300, 200), loaded(200, 300));
    for policy in [NextFilm::Automatic, NextFilm::Sticky] {
        let mut view = view(&film, 500.0, 500.0);
        view.habits.next_film = policy;
        view.execute(UiCommand::Preset(Preset::Lung), Some(&film), 0.0);
        view.execute(UiCommand::ZoomIn, Some(&film), 0.0);
        assert!(view.prepare(&ctx, 7, &next));
        assert!(!view.prepare(&ctx, 7, &next), "preparing twice has nothing to do");
        view.show_film(7);
        view.open(&next);
        let shown = view.display.shown(&ctx, view.viewport, &next);
        assert_eq!(view.textures.shown(7), Some(&shown), "what was prepared is not what is drawn");
        view.keep(&[8]);
        assert!(!view.is_prepared(7));
    }
}

#[test]
fn clearing_takes_rulers_first_and_then_the_tool() {
    let film = loaded(50, 50);
    let mut view = view(&film, 500.0, 500.0);
    let ruler = Ruler { from: pos2(1.0, 1.0), to: pos2(2.0, 2.0) };
    view.execute(UiCommand::Tool(Tool::Ruler), Some(&film), 0.0);
    view.rulers = vec![ruler, ruler];
    view.begun = Some(pos2(3.0, 3.0));
    let mut left = Vec::new();
    for _ in 0..4 {
        view.execute(UiCommand::Clear, Some(&film), 0.0);
        left.push((view.begun.is_some(), view.rulers.len(), view.tool));
    }
    assert_eq!(
        left,
        [
            (false, 2, Tool::Ruler),
            (false, 1, Tool::Ruler),
            (false, 0, Tool::Ruler),
            (false, 0, Tool::Window)
        ]
    );
}
