//! Statements.

use super::{
    super::{
        fault::Fault,
        syntax::tree::{Applied, Block, Statement, Target},
        value::{self, Value},
    },
    machine::Machine,
    scope::Scope,
};
use crate::chat::marks::{CLOSE, OPEN};
use std::rc::Rc;

/// How a block ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flow {
    Next,
    Break,
    Continue,
}

impl<'t> Machine<'t> {
    pub(super) fn block(&self, block: &'t Block, scope: &Rc<Scope>, out: &mut String) -> Result<Flow, Fault> {
        self.budget.deeper(|| {
            for statement in block {
                self.budget.steps(1)?;
                match self.statement(statement, scope, out)? {
                    Flow::Next => {}
                    other => return Ok(other),
                }
            }
            Ok(Flow::Next)
        })
    }

    /// The text of a block in a scope of its own.
    pub(super) fn captured(&self, block: &'t Block, scope: &Rc<Scope>) -> Result<String, Fault> {
        let mut out = String::new();
        self.block(block, scope, &mut out)?;
        Ok(out)
    }

    fn write(&self, text: &str, out: &mut String) -> Result<(), Fault> {
        self.budget.bytes(text.len())?;
        out.push_str(text);
        Ok(())
    }

    fn statement(
        &self,
        statement: &'t Statement,
        scope: &Rc<Scope>,
        out: &mut String,
    ) -> Result<Flow, Fault> {
        match statement {
            Statement::Data(text) => self.write(text, out)?,
            Statement::Print(expr) => match self.eval(expr, scope)? {
                Value::Str(text) => self.write(&text, out)?,
                other => out.push_str(&value::plain(&other, self).map_err(|fault| fault.at(expr.line))?),
            },
            Statement::If(branches, otherwise) => {
                for (test, block) in branches {
                    if self.eval(test, scope)?.is_true() {
                        return self.block(block, scope, out);
                    }
                }
                return self.block(otherwise, scope, out);
            }
            Statement::For(repeat) => self.repeat(repeat, scope, out)?,
            Statement::Set(target, expr) => {
                let value = self.eval(expr, scope)?;
                self.assign(target, value, scope).map_err(|fault| fault.at(expr.line))?;
            }
            Statement::SetBlock(target, filters, block) => {
                let text = self.captured(block, &Scope::inside(Some(scope)))?;
                let value = self.filtered(filters, text, scope)?;
                self.assign(target, value, scope)?;
            }
            Statement::Macro(name, source) => scope.set(name, self.new_macro(source, scope)?),
            Statement::CallBlock(source, call) => {
                let caller = self.new_macro(source, scope)?;
                let text = self.call_with(call, Some(caller), scope)?;
                self.write(&value::plain(&text, self)?, out)?;
            }
            Statement::Filter(filters, block) => {
                let text = self.captured(block, &Scope::inside(Some(scope)))?;
                let value = self.filtered(filters, text, scope)?;
                self.write(&value::plain(&value, self)?, out)?;
            }
            Statement::With(pairs, block) => {
                let inner = Scope::inside(Some(scope));
                for (target, expr) in pairs {
                    let value = self.eval(expr, scope)?;
                    self.assign(target, value, &inner).map_err(|fault| fault.at(expr.line))?;
                }
                return self.block(block, &inner, out);
            }
            Statement::Generation(block) => {
                out.push(OPEN);
                let flow = self.block(block, &Scope::inside(Some(scope)), out)?;
                out.push(CLOSE);
                return Ok(flow);
            }
            Statement::Break => return Ok(Flow::Break),
            Statement::Continue => return Ok(Flow::Continue),
        }
        Ok(Flow::Next)
    }

    fn filtered(&self, filters: &'t [Applied], text: String, scope: &Rc<Scope>) -> Result<Value, Fault> {
        let mut value = Value::text(text);
        for filter in filters {
            let given = self.given(&filter.args, scope)?;
            value = self.filter(&filter.name, value, given)?;
        }
        Ok(value)
    }

    pub(super) fn assign(&self, target: &Target, value: Value, scope: &Scope) -> Result<(), Fault> {
        match target {
            Target::Name(name) => scope.set(name, value),
            Target::Tuple(targets) => {
                self.budget.values(value.items_len())?;
                let kind = value.kind();
                let items = value.items().ok_or_else(|| Fault::new(format!("cannot unpack '{kind}'")))?;
                if items.len() != targets.len() {
                    let what = format!("expected {} values to unpack, got {}", targets.len(), items.len());
                    return Err(Fault::new(what));
                }
                for (target, item) in targets.iter().zip(items) {
                    self.assign(target, item, scope)?;
                }
            }
            Target::Attr(name, attribute) => {
                let Some(Value::Namespace(place)) = scope.get(name, &self.budget)? else {
                    return Err(Fault::new(format!("{name} is no namespace: its {attribute} cannot be set")));
                };
                let mut all = self.namespaces.borrow_mut();
                let Some(entries) = all.get_mut(place) else { return Ok(()) };
                self.budget.steps(entries.len() / 8)?;
                match entries.iter_mut().find(|(key, _)| key == attribute) {
                    Some((_, old)) => *old = value,
                    None => {
                        self.budget.values(2)?;
                        entries.push((attribute.clone(), value));
                    }
                }
            }
        }
        Ok(())
    }
}
