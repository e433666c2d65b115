//! Calls of functions, methods and macros.

use super::{
    super::{
        fault::Fault,
        method,
        syntax::tree::{Expr, Kind},
        value::{self, Dict, Value},
    },
    given::Given,
    machine::{Machine, Made},
    scope::Scope,
};
use std::{rc::Rc, sync::Arc};

impl<'t> Machine<'t> {
    /// The value of the call `expr`, with `caller` as one more argument.
    pub(super) fn call_with(
        &self,
        expr: &'t Expr,
        caller: Option<Value>,
        scope: &Rc<Scope>,
    ) -> Result<Value, Fault> {
        let Kind::Call(callee, args) = &expr.kind else { return self.eval(expr, scope) };
        let callee = self.eval(callee, scope)?;
        let mut given = self.given(args, scope)?;
        given.named.extend(caller.map(|caller| ("caller".into(), caller)));
        let result = match callee.defined()? {
            Value::Function(name) => self.function(name, given),
            Value::Method(bound) => match &bound.0 {
                Value::Loop(state) if &*bound.1 == "cycle" => {
                    let at = state.index.get().checked_rem(given.plain.len());
                    let found = at.and_then(|at| given.plain.get(at)).cloned();
                    found.ok_or_else(|| Fault::new("no items for cycling given"))
                }
                Value::Loop(state) => {
                    let shown = value::repr(&Value::tuple(given.plain)?, self)?;
                    let changed = state.changed.borrow().as_ref() != Some(&shown);
                    state.changed.replace(Some(shown));
                    Ok(Value::Bool(changed))
                }
                owner => method::call(owner, &bound.1, given, self),
            },
            Value::Macro(place) => self.macro_call(*place, given),
            Value::Loop(state) => {
                let [items] = given.bind("loop", ["iterable"])?;
                match state.recursion {
                    Some(place) => self.again(place, items.unwrap_or(Value::undefined())),
                    None => Err(Fault::new("the loop is not recursive: it lacks the word recursive")),
                }
            }
            other => Err(Fault::new(format!("'{}' object is not callable", other.kind()))),
        };
        result.map_err(|fault| fault.at(expr.line))
    }

    fn macro_call(&self, place: usize, given: Given) -> Result<Value, Fault> {
        let Some(Made { source, scope }) = self.macros.borrow().get(place).cloned() else {
            return Ok(Value::undefined());
        };
        let refuse = |what: String| Err(Fault::new(format!("macro '{}' {what}", source.name)));
        // Each named argument is looked for among the parameters.
        self.budget.steps(source.params.len() * given.named.len() / 8 + source.params.len())?;
        let inner = Scope::inside(Some(&scope));
        let mut plain = given.plain.into_iter();
        let mut bound: Vec<Option<Value>> = source.params.iter().map(|_| plain.next()).collect();
        let mut others = Vec::new();
        let mut caller = None;
        for (name, value) in given.named {
            match source.params.iter().position(|(param, _)| *param == name) {
                Some(at) if bound[at].is_none() => bound[at] = Some(value),
                Some(_) => return refuse(format!("got two values for the argument '{name}'")),
                None if &*name == "caller" && source.takes.caller => caller = Some(value),
                None => others.push((Value::Str(name), value)),
            }
        }
        if plain.len() > 0 && !source.takes.varargs {
            return refuse(format!("takes not more than {} argument(s)", source.params.len()));
        }
        if let Some((Value::Str(name), _)) = others.first().filter(|_| !source.takes.kwargs) {
            return refuse(format!("takes no keyword argument '{name}'"));
        }
        for ((name, default), value) in source.params.iter().zip(bound) {
            let value = match (value, default) {
                (Some(value), _) => value,
                (None, Some(default)) => self.eval(default, &inner)?,
                (None, None) => {
                    Value::Undefined(Some(format!("parameter '{name}' was not provided: it").into()))
                }
            };
            inner.set(name, value);
        }
        let names: [Arc<str>; 3] = ["varargs", "kwargs", "caller"].map(Arc::from);
        if source.takes.varargs {
            inner.set(&names[0], Value::tuple(plain.collect())?);
        }
        if source.takes.kwargs {
            inner.set(&names[1], Value::Dict(Rc::new(Dict::new(others, &self.budget)?)));
        }
        if source.takes.caller && !source.params.iter().any(|(param, _)| *param == names[2]) {
            inner.set(
                &names[2],
                caller.unwrap_or_else(|| Value::Undefined(Some("no caller defined: it".into()))),
            );
        }
        Ok(Value::text(self.budget.deeper(|| self.captured(&source.body, &inner))?))
    }
}
