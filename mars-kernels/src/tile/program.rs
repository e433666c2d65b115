//! The instructions of a block, written once: assembled for the processor, interpreted by the emulator.
//!
//! Tiles 0 to 3 are the sums (top left, top right, bottom left, bottom right), 4 and 5 hold moving rows, 6 and 7
//! weights. Offsets are bytes within a step.

/// How many parts the operands of a block have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    /// x W.
    One,
    /// (x' + x'') W.
    Two,
    /// (x' + x'') W' + x' W''.
    Three,
}

impl Program {
    /// Lines of moving rows in a step.
    pub(crate) const fn moving(self) -> usize {
        match self {
            Self::One => 32,
            Self::Two | Self::Three => 64,
        }
    }

    /// Lines of weights in a step.
    pub(crate) const fn weights(self) -> usize {
        match self {
            Self::One | Self::Two => 32,
            Self::Three => 64,
        }
    }
}

/// Hands the instructions of one step of [`Program::One`] to the macro `$run`.
macro_rules! one {
    ($run:ident, $($with:tt)*) => {
        $run! { ($($with)*)
            [load 6 w 0] [load 4 m 0] [load 7 w 1024] [dot 0 4 6] [load 5 m 1024] [dot 1 4 7] [dot 2 5 6] [dot 3 5 7]
        }
    };
}

/// As [`one`], for [`Program::Two`].
macro_rules! two {
    ($run:ident, $($with:tt)*) => {
        $run! { ($($with)*)
            [load 6 w 0] [load 4 m 0] [load 7 w 1024] [dot 0 4 6] [load 5 m 1024] [dot 1 4 7] [dot 2 5 6]
            [load 4 m 2048] [dot 3 5 7] [load 5 m 3072] [dot 0 4 6] [dot 1 4 7] [dot 2 5 6] [dot 3 5 7]
        }
    };
}

/// As [`one`], for [`Program::Three`]. The rests of the weights come first, so that tiles 4 and 5 are read again least.
macro_rules! three {
    ($run:ident, $($with:tt)*) => {
        $run! { ($($with)*)
            [load 6 w 2048] [load 4 m 0] [load 7 w 3072] [dot 0 4 6] [load 5 m 1024] [dot 1 4 7] [dot 2 5 6]
            [load 6 w 0] [dot 3 5 7] [load 7 w 1024] [dot 0 4 6] [dot 1 4 7] [dot 2 5 6]
            [load 4 m 2048] [dot 3 5 7] [load 5 m 3072] [dot 0 4 6] [dot 1 4 7] [dot 2 5 6] [dot 3 5 7]
        }
    };
}
