//! Convergence times drawn from known laws; `oracle/planted.py` draws exactly the same ones.
#![allow(dead_code)]
use mars_laws::{ConvergenceObservation, LawC};

/// SplitMix64 (Steele, Lea and Flood 2014): short enough to be written again in the oracle.
pub(crate) struct Draw(u64);

impl Draw {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Uniform in [0, 1).
    pub(crate) fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal (Box and Muller 1958).
    pub(crate) fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }
}

/// Ranks and sizes of the designs of 12, 28 and 60 points.
pub(crate) fn design(points: usize) -> Vec<(usize, usize)> {
    let (ranks, sizes): (&[usize], Vec<usize>) = match points {
        12 => (&[8, 16, 32, 64], vec![64, 256, 1024]),
        28 => (&[8, 16, 32, 64], (4..11).map(|e| 1 << e).collect()),
        60 => (&[4, 8, 16, 32, 64, 128], (4..14).map(|e| 1 << e).collect()),
        other => unreachable!("no design of {other} points"),
    };
    ranks.iter().flat_map(|r| sizes.iter().map(move |d| (*r, *d))).collect()
}

/// One planted pair of laws and the times drawn from them.
pub(crate) struct Planted {
    pub(crate) llm: LawC,
    pub(crate) ve: LawC,
    pub(crate) times: [Vec<ConvergenceObservation>; 2],
}

/// The `index`-th draw of a cell: times scatter log-normally by `noise`.
pub(crate) fn planted(points: usize, noise: f64, offset: bool, index: u64) -> Planted {
    let mut draw = Draw::new(index.wrapping_mul(1_000_003).wrapping_add(points as u64 * 7919));
    let offset = f64::from(u8::from(offset));
    let llm = LawC { k: 4.6, gamma: -0.355, delta: 0.745, offset: 3.6 * offset };
    let ve = LawC {
        k: 4.6 * (0.25 * (draw.uniform() - 0.5)).exp(),
        gamma: -0.25 - 0.2 * draw.uniform(),
        delta: 0.68 + 0.12 * draw.uniform(),
        offset: (2.0 + 6.0 * draw.uniform()) * offset,
    };
    let mut measure = |module: &str, law: &LawC| -> Vec<ConvergenceObservation> {
        let time = |(r, d): (usize, usize), e: f64| law.predict(r as f64, d as f64) * (noise * e).exp();
        let observe = |(r, d)| ConvergenceObservation::new(module, r, d, time((r, d), draw.normal()));
        design(points).into_iter().map(observe).collect()
    };
    let times = [measure("llm", &llm), measure("ve", &ve)];
    Planted { llm, ve, times }
}
