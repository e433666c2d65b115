//! Values as Python has them.

mod arithmetic;
mod compare;
mod float;
mod index;
mod json;
mod order;
mod print;
mod set;
pub(super) mod text;

pub(super) use arithmetic::{binary, negative, positive};
pub(super) use compare::{contains, equal};
pub(super) use float::repr as float_text;
pub(super) use index::{attr, item, methods_of, slice};
pub(super) use json::{Layout, tojson};
pub(super) use order::order;
pub(super) use print::{Show, plain, repr};
pub(super) use set::{Dict, Seq};

use super::{budget::BYTES_A_VALUE, fault::Fault};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    sync::Arc,
};

/// A value of a template.
///
/// Lists and mappings cannot change once made, as in Hugging Face's sandbox; namespaces and macros are places in the
/// [`Machine`](super::run::Machine), so that no value can contain itself.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// What is not there, by its name where it has one.
    Undefined(Option<Arc<str>>),
    None,
    Bool(bool),
    Int(i64),
    Float(f64),
    Str(Arc<str>),
    List(Rc<Seq>),
    Tuple(Rc<Seq>),
    Dict(Rc<Dict>),
    /// What a lazy filter gives: always true, without a length, empty after it was walked through once.
    Generator(Rc<Generator>),
    Namespace(usize),
    Macro(usize),
    /// A function of the language.
    Function(&'static str),
    /// A method and the value it belongs to.
    Method(Rc<(Value, Arc<str>)>),
    Loop(Rc<LoopState>),
}

const _: () = assert!(size_of::<Value>() <= BYTES_A_VALUE);

#[derive(Debug)]
pub(super) struct Generator {
    items: RefCell<Vec<Value>>,
    depth: u32,
}

/// The variable `loop`.
#[derive(Debug)]
pub(super) struct LoopState {
    pub(super) items: Rc<Seq>,
    pub(super) index: Cell<usize>,
    /// Loops around this one, with it.
    pub(super) level: usize,
    /// Place of a recursive loop in the machine.
    pub(super) recursion: Option<usize>,
    /// What `changed` saw last, in print.
    pub(super) changed: RefCell<Option<String>>,
}

impl Value {
    pub(super) fn text(text: impl Into<Arc<str>>) -> Self {
        Self::Str(text.into())
    }

    /// A length or index.
    pub(super) fn count(count: usize) -> Self {
        Self::Int(i64::try_from(count).unwrap_or(i64::MAX))
    }

    /// # Errors
    /// If it is nested too deeply.
    pub(super) fn list(items: Vec<Self>) -> Result<Self, Fault> {
        Ok(Self::List(Rc::new(Seq::new(items)?)))
    }

    /// # Errors
    /// If it is nested too deeply.
    pub(super) fn tuple(items: Vec<Self>) -> Result<Self, Fault> {
        Ok(Self::Tuple(Rc::new(Seq::new(items)?)))
    }

    /// # Errors
    /// If it is nested too deeply.
    pub(super) fn generator(items: Vec<Self>) -> Result<Self, Fault> {
        let depth = set::depth_above(items.iter())?;
        Ok(Self::Generator(Rc::new(Generator { items: RefCell::new(items), depth })))
    }

    /// Levels of values in it.
    fn depth(&self) -> u32 {
        match self {
            Self::List(seq) | Self::Tuple(seq) => seq.depth(),
            Self::Dict(dict) => dict.depth(),
            Self::Generator(generator) => generator.depth,
            Self::Method(method) => method.0.depth() + 1,
            Self::Loop(state) => state.items.depth() + 1,
            _ => 0,
        }
    }

    /// Name of its type in Python.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Undefined(_) => "Undefined",
            Self::None => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) => "int",
            Self::Float(_) => "float",
            Self::Str(_) => "str",
            Self::List(_) => "list",
            Self::Tuple(_) => "tuple",
            Self::Dict(_) => "dict",
            Self::Generator(_) => "generator",
            Self::Namespace(_) => "Namespace",
            Self::Macro(_) => "Macro",
            Self::Function(_) => "function",
            Self::Method(_) => "method",
            Self::Loop(_) => "LoopContext",
        }
    }

    pub(super) fn is_true(&self) -> bool {
        match self {
            Self::Undefined(_) | Self::None => false,
            Self::Bool(b) => *b,
            Self::Int(n) => *n != 0,
            Self::Float(x) => *x != 0.0,
            Self::Str(text) => !text.is_empty(),
            Self::List(seq) | Self::Tuple(seq) => !seq.items().is_empty(),
            Self::Dict(dict) => !dict.entries().is_empty(),
            _ => true,
        }
    }

    pub(super) fn as_str(&self) -> Option<&Arc<str>> {
        if let Self::Str(text) = self { Some(text) } else { None }
    }

    /// An integer, or a boolean as one.
    pub(super) fn as_int(&self) -> Option<i64> {
        match self {
            Self::Int(n) => Some(*n),
            Self::Bool(b) => Some(i64::from(*b)),
            _ => None,
        }
    }

    /// A number as a float.
    pub(super) fn as_float(&self) -> Option<f64> {
        match self {
            Self::Float(x) => Some(*x),
            other => other.as_int().map(|n| n as f64),
        }
    }

    pub(super) fn undefined() -> Self {
        Self::Undefined(None)
    }

    /// The error of using it, if it is undefined.
    ///
    /// # Errors
    /// If it is undefined.
    pub(super) fn defined(&self) -> Result<&Self, Fault> {
        match self {
            Self::Undefined(Some(name)) => Err(Fault::new(format!("{name} is undefined"))),
            Self::Undefined(None) => Err(Fault::new("a value is undefined")),
            other => Ok(other),
        }
    }

    /// The items of a walk through it, or `None` if there is no such walk. The caller pays for them.
    pub(super) fn items(&self) -> Option<Vec<Self>> {
        Some(match self {
            Self::Undefined(_) => Vec::new(),
            Self::Str(text) => text.chars().map(|c| Self::text(c.encode_utf8(&mut [0; 4]) as &str)).collect(),
            Self::List(seq) | Self::Tuple(seq) => seq.items().to_vec(),
            Self::Dict(dict) => dict.entries().iter().map(|(key, _)| key.clone()).collect(),
            Self::Generator(generator) => generator.items.take(),
            _ => return None,
        })
    }

    /// Number of items in [`items`](Self::items), at most: what the caller pays for.
    pub(super) fn items_len(&self) -> usize {
        match self {
            Self::Generator(generator) => generator.items.borrow().len(),
            Self::Str(text) => text.len(),
            other => other.len().unwrap_or(0),
        }
    }

    /// Python's `len`, if it has one.
    pub(super) fn len(&self) -> Option<usize> {
        Some(match self {
            Self::Undefined(_) => 0,
            Self::Str(text) => text.chars().count(),
            Self::List(seq) | Self::Tuple(seq) => seq.items().len(),
            Self::Dict(dict) => dict.entries().len(),
            Self::Loop(state) => state.items.items().len(),
            _ => return None,
        })
    }
}
