//! Canvases: four handwritten digits, two by two, each moved a little inside its cell.

use image::{GrayImage, Luma};
use rand::{Rng, seq::IndexedRandom};

use super::source::{Digit, SIDE};
use crate::normal::standard_normal;

/// Pixels along a side of a cell.
pub const CELL: usize = 12;
/// Pixels along a side of a canvas.
pub const CANVAS: usize = 2 * CELL;
/// Grey levels of a canvas; few, so that noise does not fill the archive.
const LEVELS: f64 = 16.0;

/// How digits look on a canvas.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// Rotation of every digit about its own centre, degrees clockwise.
    pub rotation: f64,
    /// Distance of every pixel from mid-grey is multiplied by this, 0..=1.
    pub contrast: f64,
    /// Standard deviation of the noise added to every pixel, in units of black to white.
    pub noise: f64,
}

impl Look {
    /// As written: what the model is pre-trained on.
    pub const PLAIN: Self = Self { rotation: 0.0, contrast: 1.0, noise: 0.0 };
    /// What the model has to adapt to. Milder than it could be: a vision encoder that starts from
    /// nearly useless features is ignored by the language model, and ranks stop mattering.
    pub const SHIFTED: Self = Self { rotation: 20.0, contrast: 0.8, noise: 0.1 };
}

/// A picture of four digits and which digits they are.
#[derive(Clone, Debug)]
pub struct Canvas {
    /// White ink on black, 24 x 24.
    pub image: GrayImage,
    /// Labels of the cells: top left, top right, bottom left, bottom right.
    pub labels: [u8; 4],
}

impl Canvas {
    /// Draws four digits (with replacement) from `digits`, which must not be empty.
    pub fn compose(digits: &[Digit], look: &Look, rng: &mut impl Rng) -> Self {
        let mut ink = [0.0; CANVAS * CANVAS];
        let mut labels = [0; 4];
        for (cell, label) in labels.iter_mut().enumerate() {
            let digit = digits.choose(rng).expect("there are digits to choose from");
            *label = digit.label;
            draw(digit, look.rotation, cell, &mut ink, rng);
        }
        let image = GrayImage::from_fn(CANVAS as u32, CANVAS as u32, |x, y| {
            let shade = 0.5 + (ink[y as usize * CANVAS + x as usize] - 0.5) * look.contrast;
            let noise = if look.noise > 0.0 { look.noise * standard_normal(rng) } else { 0.0 };
            let level = ((shade + noise).clamp(0.0, 1.0) * (LEVELS - 1.0)).round();
            Luma([(level * 255.0 / (LEVELS - 1.0)) as u8])
        });
        Self { image, labels }
    }
}

/// Draws a digit into its cell at a random offset of 0..=4 pixels each way.
fn draw(digit: &Digit, rotation: f64, cell: usize, ink: &mut [f64], rng: &mut impl Rng) {
    let middle = (SIDE as f64 - 1.0) / 2.0;
    let centre_x = middle + f64::from(rng.random_range(0..=(CELL - SIDE) as u32));
    let centre_y = middle + f64::from(rng.random_range(0..=(CELL - SIDE) as u32));
    let (sin, cos) = rotation.to_radians().sin_cos();
    let corner = (cell / 2) * CELL * CANVAS + (cell % 2) * CELL;
    for y in 0..CELL {
        for x in 0..CELL {
            let (u, v) = (x as f64 - centre_x, y as f64 - centre_y);
            let (from_x, from_y) = (cos * u + sin * v + middle, cos * v - sin * u + middle);
            ink[corner + y * CANVAS + x] = bilinear(&digit.pixels, from_x, from_y);
        }
    }
}

/// Ink of 0..=1 at a point between the pixels; none outside the digit.
fn bilinear(pixels: &[u8; SIDE * SIDE], x: f64, y: f64) -> f64 {
    let (left, top) = (x.floor(), y.floor());
    let at = |column: f64, row: f64| {
        let inside = |v: f64| (0.0..SIDE as f64).contains(&v);
        if inside(column) && inside(row) {
            f64::from(pixels[row as usize * SIDE + column as usize]) / 16.0
        } else {
            0.0
        }
    };
    let (right_part, lower_part) = (x - left, y - top);
    let upper = at(left, top) * (1.0 - right_part) + at(left + 1.0, top) * right_part;
    let lower = at(left, top + 1.0) * (1.0 - right_part) + at(left + 1.0, top + 1.0) * right_part;
    upper * (1.0 - lower_part) + lower * lower_part
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    /// A digit whose ink is distinct everywhere and nowhere 0.
    fn ramp(label: u8) -> Digit {
        let mut pixels = [0; SIDE * SIDE];
        for (i, p) in pixels.iter_mut().enumerate() {
            *p = (i % 15) as u8 + 1;
        }
        Digit { label, pixels }
    }

    #[test]
    fn plain_canvases_hold_every_digit_unchanged() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let canvas = Canvas::compose(&[ramp(4)], &Look::PLAIN, &mut rng);
        assert_eq!(canvas.labels, [4; 4]);
        let inked = |x: usize, y: usize| canvas.image.get_pixel(x as u32, y as u32).0[0];
        for cell in 0..4 {
            let (x0, y0) = ((cell % 2) * CELL, (cell / 2) * CELL);
            let cells = (0..CELL * CELL).map(|i| (x0 + i % CELL, y0 + i / CELL));
            let ink: Vec<u8> = cells.map(|(x, y)| inked(x, y)).filter(|&p| p > 0).collect();
            let wanted = ramp(4).pixels.map(|p| ((f64::from(p) / 16.0 * 15.0).round() * 17.0) as u8);
            assert_eq!(ink, wanted);
        }
    }

    #[test]
    fn a_full_turn_changes_nothing_and_a_half_turn_reverses() {
        let drawn = |rotation: f64| {
            let mut ink = [0.0; CANVAS * CANVAS];
            draw(&ramp(1), rotation, 0, &mut ink, &mut ChaCha8Rng::seed_from_u64(3));
            ink
        };
        let (none, full, half) = (drawn(0.0), drawn(360.0), drawn(180.0));
        assert!(none.iter().zip(&full).all(|(a, b)| (a - b).abs() < 1e-9));
        let visible = |ink: &[f64]| ink.iter().copied().filter(|&p| p > 1e-9).collect::<Vec<_>>();
        let mut reversed = visible(&half);
        reversed.reverse();
        assert!(visible(&none).iter().zip(&reversed).all(|(a, b)| (a - b).abs() < 1e-9));
    }
}
