//! Expressions.

use super::{
    super::{
        fault::Fault,
        filter::printf,
        syntax::tree::{Args, Arithmetic, Comparison, Expr, Kind},
        value::{self, Dict, Value},
    },
    function,
    given::Given,
    machine::Machine,
    scope::Scope,
};
use std::{cmp::Ordering, rc::Rc};

impl<'t> Machine<'t> {
    /// The value of an expression.
    pub(super) fn eval(&self, expr: &'t Expr, scope: &Rc<Scope>) -> Result<Value, Fault> {
        self.budget.steps(1)?;
        let result = match &expr.kind {
            Kind::None => Ok(Value::None),
            Kind::Bool(b) => Ok(Value::Bool(*b)),
            Kind::Int(n) => Ok(Value::Int(*n)),
            Kind::Float(x) => Ok(Value::Float(*x)),
            Kind::Str(text) => Ok(Value::Str(text.clone())),
            Kind::Name(name) => scope.get(name, &self.budget).map(|found| match found {
                Some(value) => value,
                None => function::named(name)
                    .unwrap_or_else(|| Value::Undefined(Some(format!("'{name}'").into()))),
            }),
            _ => self.budget.deeper(|| self.compound(expr, scope)),
        };
        result.map_err(|fault| fault.at(expr.line))
    }

    fn all(&self, list: &'t [Expr], scope: &Rc<Scope>) -> Result<Vec<Value>, Fault> {
        self.budget.values(list.len())?;
        list.iter().map(|expr| self.eval(expr, scope)).collect()
    }

    fn compound(&self, expr: &'t Expr, scope: &Rc<Scope>) -> Result<Value, Fault> {
        match &expr.kind {
            Kind::Tuple(list) => Value::tuple(self.all(list, scope)?),
            Kind::List(list) => Value::list(self.all(list, scope)?),
            Kind::Dict(pairs) => self.dict(pairs, scope),
            Kind::Attr(inner, name) => value::attr(&self.eval(inner, scope)?, name, self),
            Kind::Item(inner, key) => {
                let inner = self.eval(inner, scope)?;
                value::item(&inner, &self.eval(key, scope)?, self)
            }
            Kind::Slice(inner, parts) => {
                let inner = self.eval(inner, scope)?;
                let mut bounds = [const { None }; 3];
                for (bound, part) in bounds.iter_mut().zip(parts) {
                    *bound = part.as_ref().map(|part| self.eval(part, scope)).transpose()?;
                }
                value::slice(&inner, bounds, &self.budget)
            }
            Kind::Call(..) => self.call_with(expr, None, scope),
            Kind::Filter(inner, applied) => {
                let inner = self.eval(inner, scope)?;
                let given = self.given(&applied.args, scope)?;
                self.filter(&applied.name, inner, given)
            }
            Kind::Test { value, test, negated } => {
                let value = self.eval(value, scope)?;
                let given = self.given(&test.args, scope)?;
                Ok(Value::Bool(self.test(&test.name, &value, given)? != *negated))
            }
            Kind::Not(inner) => Ok(Value::Bool(!self.eval(inner, scope)?.is_true())),
            Kind::Minus(inner) => value::negative(&self.eval(inner, scope)?),
            Kind::Plus(inner) => value::positive(&self.eval(inner, scope)?),
            Kind::Binary(op, a, b) => {
                let a = self.eval(a, scope)?;
                let b = self.eval(b, scope)?;
                match (op, &a) {
                    (Arithmetic::Rem, Value::Str(format)) => {
                        Ok(Value::text(printf::format(format, b.defined()?, self)?))
                    }
                    _ => value::binary(*op, &a, &b, self),
                }
            }
            Kind::Compare(first, others) => self.compare(first, others, scope),
            Kind::Concat(parts) => {
                let mut text = String::new();
                for part in parts {
                    match self.eval(part, scope)? {
                        Value::Str(part) => {
                            self.budget.bytes(part.len())?;
                            text.push_str(&part);
                        }
                        other => text.push_str(&value::plain(&other, self)?),
                    }
                }
                Ok(Value::text(text))
            }
            Kind::And(a, b) => {
                let a = self.eval(a, scope)?;
                if a.is_true() { self.eval(b, scope) } else { Ok(a) }
            }
            Kind::Or(a, b) => {
                let a = self.eval(a, scope)?;
                if a.is_true() { Ok(a) } else { self.eval(b, scope) }
            }
            Kind::If { test, yes, no } => match (self.eval(test, scope)?.is_true(), no) {
                (true, _) => self.eval(yes, scope),
                (false, Some(no)) => self.eval(no, scope),
                (false, None) => Ok(Value::undefined()),
            },
            _ => self.eval(expr, scope),
        }
    }

    fn dict(&self, pairs: &'t [(Expr, Expr)], scope: &Rc<Scope>) -> Result<Value, Fault> {
        self.budget.values(2 * pairs.len())?;
        let mut entries = Vec::with_capacity(pairs.len());
        for (key, value) in pairs {
            entries.push((self.eval(key, scope)?, self.eval(value, scope)?));
        }
        Ok(Value::Dict(Rc::new(Dict::new(entries, &self.budget)?)))
    }

    fn compare(
        &self,
        first: &'t Expr,
        others: &'t [(Comparison, Expr)],
        scope: &Rc<Scope>,
    ) -> Result<Value, Fault> {
        let budget = &self.budget;
        let mut left = self.eval(first, scope)?;
        for (comparison, expr) in others {
            let right = self.eval(expr, scope)?;
            let ordered = |wanted: fn(Ordering) -> bool| {
                Ok::<_, Fault>(value::order(&left, &right, budget)?.is_some_and(wanted))
            };
            let holds = match comparison {
                Comparison::Eq => value::equal(&left, &right, budget)?,
                Comparison::Ne => !value::equal(&left, &right, budget)?,
                Comparison::Lt => ordered(Ordering::is_lt)?,
                Comparison::Le => ordered(Ordering::is_le)?,
                Comparison::Gt => ordered(Ordering::is_gt)?,
                Comparison::Ge => ordered(Ordering::is_ge)?,
                Comparison::In => value::contains(&right, &left, budget)?,
                Comparison::NotIn => !value::contains(&right, &left, budget)?,
            };
            if !holds {
                return Ok(Value::Bool(false));
            }
            left = right;
        }
        Ok(Value::Bool(true))
    }

    /// The values of arguments.
    pub(super) fn given(&self, args: &'t Args, scope: &Rc<Scope>) -> Result<Given, Fault> {
        let mut given = Given { plain: self.all(&args.plain, scope)?, named: Vec::new() };
        for (name, expr) in &args.named {
            given.named.push((name.clone(), self.eval(expr, scope)?));
        }
        if let Some(expr) = &args.list {
            let list = self.eval(expr, scope)?;
            self.budget.values(list.items_len())?;
            let kind = list.kind();
            let items = list.items().ok_or_else(|| Fault::new(format!("'{kind}' object is not iterable")))?;
            given.plain.extend(items);
        }
        if let Some(expr) = &args.dict {
            let Value::Dict(dict) = self.eval(expr, scope)? else {
                return Err(Fault::new("the argument after ** is no mapping"));
            };
            self.budget.values(2 * dict.entries().len())?;
            for (key, value) in dict.entries() {
                let Value::Str(name) = key else { return Err(Fault::new("keywords must be strings")) };
                given.named.push((name.clone(), value.clone()));
            }
        }
        Ok(given)
    }
}
