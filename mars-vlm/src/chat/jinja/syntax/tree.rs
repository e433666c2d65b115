//! The syntax tree of a template.
//!
//! An expression knows its depth, so that whatever walks or drops the tree needs a bounded stack.

use std::sync::Arc;

pub(in super::super) type Name = Arc<str>;
pub(in super::super) type Block = Vec<Statement>;

/// An expression.
#[derive(Debug)]
pub(in super::super) struct Expr {
    pub(in super::super) kind: Kind,
    /// Line in the source, from 1.
    pub(in super::super) line: u32,
    /// Levels, from 1 for a leaf.
    pub(super) depth: u32,
}

/// What an expression is.
#[derive(Debug)]
pub(in super::super) enum Kind {
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Name),
    Name(Name),
    Tuple(Vec<Expr>),
    List(Vec<Expr>),
    Dict(Vec<(Expr, Expr)>),
    Attr(Box<Expr>, Name),
    Item(Box<Expr>, Box<Expr>),
    Slice(Box<Expr>, [Option<Box<Expr>>; 3]),
    Call(Box<Expr>, Args),
    Filter(Box<Expr>, Applied),
    Test { value: Box<Expr>, test: Applied, negated: bool },
    Not(Box<Expr>),
    Minus(Box<Expr>),
    Plus(Box<Expr>),
    Binary(Arithmetic, Box<Expr>, Box<Expr>),
    Compare(Box<Expr>, Vec<(Comparison, Expr)>),
    Concat(Vec<Expr>),
    And(Box<Expr>, Box<Expr>),
    Or(Box<Expr>, Box<Expr>),
    If { test: Box<Expr>, yes: Box<Expr>, no: Option<Box<Expr>> },
}

/// Arguments of a call.
#[derive(Debug, Default)]
pub(in super::super) struct Args {
    pub(in super::super) plain: Vec<Expr>,
    pub(in super::super) named: Vec<(Name, Expr)>,
    /// After `*`.
    pub(in super::super) list: Option<Box<Expr>>,
    /// After `**`.
    pub(in super::super) dict: Option<Box<Expr>>,
}

/// A filter or test with its arguments.
#[derive(Debug)]
pub(in super::super) struct Applied {
    pub(in super::super) name: Name,
    pub(in super::super) args: Args,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Arithmetic {
    Add,
    Sub,
    Mul,
    Div,
    FloorDiv,
    Rem,
    Pow,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Comparison {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    In,
    NotIn,
}

/// What a value is assigned to.
#[derive(Debug)]
pub(in super::super) enum Target {
    Name(Name),
    Tuple(Vec<Target>),
    /// An attribute of a namespace.
    Attr(Name, Name),
}

#[derive(Debug)]
pub(in super::super) enum Statement {
    Data(Name),
    Print(Expr),
    If(Vec<(Expr, Block)>, Block),
    For(Box<For>),
    Set(Target, Expr),
    SetBlock(Target, Vec<Applied>, Block),
    Macro(Name, Box<Macro>),
    CallBlock(Box<Macro>, Expr),
    Filter(Vec<Applied>, Block),
    With(Vec<(Target, Expr)>, Block),
    Generation(Block),
    Break,
    Continue,
}

/// A loop.
#[derive(Debug)]
pub(in super::super) struct For {
    pub(in super::super) target: Target,
    pub(in super::super) items: Expr,
    pub(in super::super) test: Option<Expr>,
    pub(in super::super) recursive: bool,
    pub(in super::super) body: Block,
    pub(in super::super) otherwise: Block,
}

/// A macro, or the block that a `call` block hands to one.
#[derive(Debug)]
pub(in super::super) struct Macro {
    pub(in super::super) name: Name,
    pub(in super::super) params: Vec<(Name, Option<Expr>)>,
    pub(in super::super) body: Block,
    /// Whether the body mentions `varargs`, `kwargs` and `caller`.
    pub(in super::super) takes: Takes,
}

#[derive(Clone, Copy, Debug, Default)]
pub(in super::super) struct Takes {
    pub(in super::super) varargs: bool,
    pub(in super::super) kwargs: bool,
    pub(in super::super) caller: bool,
}

impl Args {
    fn depth(&self) -> u32 {
        let plain = self.plain.iter().chain(self.list.as_deref()).chain(self.dict.as_deref());
        plain.chain(self.named.iter().map(|(_, value)| value)).map(|e| e.depth).max().unwrap_or(0)
    }
}

impl Kind {
    /// Depth of the deepest expression directly below.
    pub(super) fn depth_below(&self) -> u32 {
        let most = |list: &[Expr]| list.iter().map(|e| e.depth).max().unwrap_or(0);
        match self {
            Self::None | Self::Bool(_) | Self::Int(_) | Self::Float(_) | Self::Str(_) | Self::Name(_) => 0,
            Self::Tuple(list) | Self::List(list) | Self::Concat(list) => most(list),
            Self::Dict(pairs) => pairs.iter().map(|(k, v)| k.depth.max(v.depth)).max().unwrap_or(0),
            Self::Attr(value, _) | Self::Not(value) | Self::Minus(value) | Self::Plus(value) => value.depth,
            Self::Item(a, b) | Self::Binary(_, a, b) | Self::And(a, b) | Self::Or(a, b) => {
                a.depth.max(b.depth)
            }
            Self::Slice(value, parts) => parts.iter().flatten().map(|e| e.depth).fold(value.depth, u32::max),
            Self::Call(value, args) => value.depth.max(args.depth()),
            Self::Filter(value, applied) | Self::Test { value, test: applied, .. } => {
                value.depth.max(applied.args.depth())
            }
            Self::Compare(value, others) => others.iter().map(|(_, e)| e.depth).fold(value.depth, u32::max),
            Self::If { test, yes, no } => test.depth.max(yes.depth).max(no.as_ref().map_or(0, |no| no.depth)),
        }
    }
}
