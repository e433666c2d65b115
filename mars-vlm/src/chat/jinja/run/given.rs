//! Evaluated arguments.

use super::super::{fault::Fault, syntax::tree::Name, value::Value};

/// Arguments of a call.
#[derive(Clone, Debug, Default)]
pub(in super::super) struct Given {
    pub(in super::super) plain: Vec<Value>,
    pub(in super::super) named: Vec<(Name, Value)>,
}

impl Given {
    /// The arguments in the order of the parameters `names` of `what`.
    ///
    /// # Errors
    /// For more arguments than parameters, unknown names, and a parameter given twice.
    pub(in super::super) fn bind<const N: usize>(
        self,
        what: &str,
        names: [&str; N],
    ) -> Result<[Option<Value>; N], Fault> {
        let mut bound = [const { None }; N];
        if self.plain.len() > N {
            return Err(Fault::new(format!("{what} takes at most {N} arguments, not {}", self.plain.len())));
        }
        for (place, value) in bound.iter_mut().zip(self.plain) {
            *place = Some(value);
        }
        for (name, value) in self.named {
            let Some(at) = names.iter().position(|one| *one == &*name) else {
                return Err(Fault::new(format!("{what} has no argument {name}")));
            };
            if bound[at].replace(value).is_some() {
                return Err(Fault::new(format!("{what} has two values for the argument {name}")));
            }
        }
        Ok(bound)
    }
}

/// A whole number among arguments.
///
/// # Errors
/// If it is something else.
pub(in super::super) fn whole(value: Option<Value>, default: i64) -> Result<i64, Fault> {
    match value {
        None => Ok(default),
        Some(value) => value.defined()?.as_int().ok_or_else(|| {
            Fault::new(format!("'{}' object cannot be interpreted as an integer", value.kind()))
        }),
    }
}
