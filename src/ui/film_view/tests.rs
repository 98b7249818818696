use super::*;
use crate::ui::film_loader::LoadedFilm;

fn loaded(width: u32, height: u32) -> LoadedFilm {
    let values = (0..width * height).map(|i| (i % 4096) as u16).collect();
    LoadedFilm::new(Film {
        width,
        height,
        bits: 16,
        values,
        about: crate::imaging::About::default(),
    })
}

fn view(width: f32, height: f32) -> FilmView {
    let mut view = FilmView { viewport: vec2(width, height), ..FilmView::default() };
    view.show_film(0);
    view
}

#[test]
fn a_film_fits_on_its_longer_side() {
    let view = view(800.0, 600.0);
    assert_eq!(view.place(&loaded(1000, 1000)), (0.6, pos2(500.0, 500.0)));
    assert_eq!(view.place(&loaded(1600, 100)).0, 0.5);
}

#[test]
fn the_point_under_the_pointer_stays_there_while_zooming() {
    let (mut view, film) = (view(800.0, 600.0), loaded(1000, 1000));
    let offset = vec2(-120.0, 75.0);
    let under = |view: &FilmView| {
        let (scale, middle) = view.place(&film);
        middle + offset / scale
    };
    let before = under(&view);
    for factor in [1.7, 2.4, 0.3, 9.0] {
        view.zoom_about(&film, factor, offset);
        assert!((under(&view) - before).length() < 1e-2, "the point moved at factor {factor}");
    }
    view.zoom_about(&film, 1e9, offset);
    assert_eq!(view.place(&film).0, FilmView::CLOSEST);
}

#[test]
fn another_film_opens_with_its_own_window_and_fitted() {
    let (mut view, film) = (view(800.0, 600.0), loaded(100, 100));
    view.window = Some(Window { centre: 1.0, width: 2.0 });
    view.zoom_about(&film, 2.0, Vec2::ZERO);
    view.toggle_invert();
    view.show_film(0);
    assert!(view.window.is_some(), "the same film keeps its window");
    view.show_film(1);
    assert_eq!((view.window, view.zoom, view.invert), (None, Zoom::Fit, true));
    view.reset();
    assert!(!view.invert);
}

#[test]
fn dragging_right_widens_and_down_raises_the_centre() {
    let full = Window { centre: 2048.0, width: 4096.0 };
    let window = dragged(full, full, vec2(10.0, 20.0));
    assert_eq!(window, Window { centre: 2068.0, width: 4106.0 });
    let narrow = dragged(full, full, vec2(-1e9, 1e9));
    assert_eq!(
        narrow,
        Window { centre: 2048.0 + 4096.0, width: 1.0 },
        "no drag loses the film for good"
    );
}

#[test]
fn a_small_view_of_a_large_film_draws_a_small_copy() {
    let ctx = Context::default();
    let (view, film) = (view(500.0, 500.0), loaded(2048, 2048));
    let fitted = view.shown(&ctx, &film, film.auto, 500.0 / 2048.0, centre(&film));
    assert_eq!((fitted.level, fitted.part), (2, [0, 0, 512, 512]));
    let close = view.shown(&ctx, &film, film.auto, 1.0, pos2(1024.0, 1024.0));
    assert_eq!(close.level, 0);
    let [x, y, width, height] = close.part;
    assert!(
        x <= 774 && x + width >= 1274 && y <= 774 && y + height >= 1274,
        "{close:?} does not cover the view"
    );
    assert!(width * height < 2048 * 2048 / 2, "{close:?} draws what is out of sight");
    let corner = view.shown(&ctx, &film, film.auto, 32.0, pos2(-5000.0, 9000.0));
    assert!(
        corner.part[2] > 0 && corner.part[3] > 0,
        "a film dragged out of sight still has a part"
    );
}

#[test]
fn cutting_takes_the_pixels_of_the_part() {
    let film = Film {
        width: 4,
        height: 3,
        bits: 16,
        values: (0..12).collect(),
        about: crate::imaging::About::default(),
    };
    let cut = crop(&film, [1, 1, 2, 2]);
    assert_eq!((cut.width, cut.height, cut.values), (2, 2, vec![5, 6, 9, 10]));
}

#[test]
fn a_prepared_film_is_drawn_without_a_new_texture() {
    let ctx = Context::default();
    let (mut view, film) = (view(500.0, 500.0), loaded(300, 200));
    assert!(view.prepare(&ctx, 7, &film));
    assert!(!view.prepare(&ctx, 7, &film), "preparing twice has nothing to do");
    view.show_film(7);
    let (scale, middle) = view.place(&film);
    let shown = view.shown(&ctx, &film, film.auto, scale, middle);
    assert_eq!(view.textures[&7].shown, shown, "what was prepared is not what is drawn");
    view.keep(&[8]);
    assert!(!view.is_prepared(7));
}
