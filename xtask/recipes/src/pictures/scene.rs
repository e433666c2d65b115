//! Drawn scenes: coloured figures in a grid of three by three cells, one for each image token, or a single large one.

use image::{Rgb, RgbImage};
use rand::{Rng, seq::IndexedRandom};

use super::SIDE;

/// Cells along a side.
pub const CELLS: usize = 3;
/// Figures, by name.
pub const FIGURES: [&str; 6] = ["disc", "ring", "square", "diamond", "cross", "bar"];
/// Colours, by name.
pub const COLOURS: [(&str, [u8; 3]); 8] = [
    ("red", [220, 30, 30]),
    ("green", [30, 160, 50]),
    ("blue", [40, 70, 220]),
    ("yellow", [235, 210, 40]),
    ("purple", [140, 40, 160]),
    ("orange", [240, 140, 30]),
    ("pink", [245, 150, 190]),
    ("black", [20, 20, 20]),
];

/// A figure of a colour, by their places in [`FIGURES`] and [`COLOURS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thing {
    /// Which figure.
    pub figure: usize,
    /// Which colour.
    pub colour: usize,
}

impl Thing {
    fn random(rng: &mut impl Rng) -> Self {
        Self { figure: rng.random_range(0..FIGURES.len()), colour: rng.random_range(0..COLOURS.len()) }
    }

    /// In words.
    pub fn words(self) -> String {
        format!("{} {}", COLOURS[self.colour].0, FIGURES[self.figure])
    }

    /// Its class among all things, from 1; 0 is nothing.
    pub fn class(self) -> usize {
        1 + self.figure * COLOURS.len() + self.colour
    }
}

/// A picture and what is in it.
#[derive(Clone, Debug)]
pub struct Scene {
    /// Row by row.
    pub cells: [Option<Thing>; CELLS * CELLS],
    /// The picture.
    pub image: RgbImage,
}

impl Scene {
    /// Each cell has a figure with probability `filled`.
    pub fn grid(filled: f64, rng: &mut impl Rng) -> Self {
        let mut image = background(rng);
        let mut cells = [None; CELLS * CELLS];
        let cell = (SIDE / CELLS) as f64;
        for (n, content) in cells.iter_mut().enumerate() {
            if rng.random_bool(filled) {
                let thing = Thing::random(rng);
                let half = rng.random_range(5.0..7.5);
                let slack = cell / 2.0 - half;
                let mut centre = |at: usize| (at as f64 + 0.5) * cell + rng.random_range(-slack..slack);
                let (x, y) = (centre(n % CELLS), centre(n / CELLS));
                draw(&mut image, thing, x, y, half);
                *content = Some(thing);
            }
        }
        Self { cells, image }
    }

    /// One large figure, whose middle is in the cell that has it.
    pub fn single(rng: &mut impl Rng) -> Self {
        let mut image = background(rng);
        let half = rng.random_range(6.0..18.0);
        let side = SIDE as f64;
        let mut centre = || rng.random_range(half..side - half);
        let (x, y) = (centre(), centre());
        let thing = Thing::random(rng);
        draw(&mut image, thing, x, y, half);
        let mut cells = [None; CELLS * CELLS];
        let at = |v: f64| ((v / side * CELLS as f64) as usize).min(CELLS - 1);
        cells[at(y) * CELLS + at(x)] = Some(thing);
        Self { cells, image }
    }

    /// Classes of the cells.
    pub fn labels(&self) -> Vec<usize> {
        self.cells.iter().map(|c| c.map_or(0, Thing::class)).collect()
    }
}

/// White or pale.
fn background(rng: &mut impl Rng) -> RgbImage {
    let pale: [u8; 3] = std::array::from_fn(|_| rng.random_range(225..=255));
    let white = [255; 3];
    let colour = [white, pale].choose(rng).copied().unwrap_or(white);
    RgbImage::from_pixel(SIDE as u32, SIDE as u32, Rgb(colour))
}

fn draw(image: &mut RgbImage, thing: Thing, x: f64, y: f64, half: f64) {
    for (column, row, pixel) in image.enumerate_pixels_mut() {
        let (u, v) = ((f64::from(column) + 0.5 - x) / half, (f64::from(row) + 0.5 - y) / half);
        if inside(thing.figure, u, v) {
            *pixel = Rgb(COLOURS[thing.colour].1);
        }
    }
}

/// Whether a point is in a figure that reaches from -1 to 1 both ways.
fn inside(figure: usize, u: f64, v: f64) -> bool {
    let (a, b) = (u.abs(), v.abs());
    let radius = u.hypot(v);
    a <= 1.0
        && b <= 1.0
        && match FIGURES[figure] {
            "disc" => radius <= 1.0,
            "ring" => (0.55..=1.0).contains(&radius),
            "square" => a.max(b) <= 0.9,
            "diamond" => a + b <= 1.0,
            "cross" => a.min(b) <= 0.3,
            _ => b <= 0.4,
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn figures_stay_in_their_cells_and_are_seen() {
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let cell = (SIDE / CELLS) as u32;
        for _ in 0..50 {
            let scene = Scene::grid(0.5, &mut rng);
            let back = scene.cells.iter().position(Option::is_none);
            for (n, content) in scene.cells.iter().enumerate() {
                let (left, top) = ((n % CELLS) as u32 * cell, (n / CELLS) as u32 * cell);
                let colours: Vec<[u8; 3]> = (0..cell * cell)
                    .map(|i| scene.image.get_pixel(left + i % cell, top + i / cell).0)
                    .collect();
                let inked = colours.iter().filter(|c| COLOURS.iter().any(|known| known.1 == **c)).count();
                match content {
                    Some(thing) => {
                        assert!(
                            inked > 20 && colours.contains(&COLOURS[thing.colour].1),
                            "{}",
                            thing.words()
                        );
                    }
                    None => assert!(inked == 0 && back.is_some()),
                }
            }
        }
    }

    #[test]
    fn things_have_classes_of_their_own() {
        let all = (0..FIGURES.len())
            .flat_map(|figure| (0..COLOURS.len()).map(move |colour| Thing { figure, colour }));
        let classes: Vec<usize> = all.map(Thing::class).collect();
        assert_eq!(classes, (1..=FIGURES.len() * COLOURS.len()).collect::<Vec<_>>());
    }
}
