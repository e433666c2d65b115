//! Loops.

use super::{
    super::{
        fault::Fault,
        syntax::tree::{For, Name},
        value::{LoopState, Seq, Value},
    },
    machine::{Machine, Recursion},
    scope::Scope,
    statement::Flow,
};
use std::{
    cell::{Cell, RefCell},
    rc::Rc,
};

impl<'t> Machine<'t> {
    /// A loop; it says itself how it ends.
    pub(super) fn repeat(&self, source: &'t For, scope: &Rc<Scope>, out: &mut String) -> Result<(), Fault> {
        let items = self.eval(&source.items, scope)?;
        let recursion = if source.recursive {
            self.budget.values(2)?;
            let mut all = self.recursions.borrow_mut();
            all.push(Recursion { source, scope: scope.clone(), level: 1 });
            Some(all.len() - 1)
        } else {
            None
        };
        self.turns(source, items, recursion, 1, scope, out).map_err(|fault| fault.at(source.items.line))
    }

    /// A recursive loop again, over other items.
    pub(super) fn again(&self, place: usize, items: Value) -> Result<Value, Fault> {
        let found = {
            let mut all = self.recursions.borrow_mut();
            all.get_mut(place).map(|one| {
                one.level += 1;
                one.clone()
            })
        };
        let Some(Recursion { source, scope, level }) = found else { return Ok(Value::undefined()) };
        let mut out = String::new();
        let result = self.budget.deeper(|| self.turns(source, items, Some(place), level, &scope, &mut out));
        if let Some(one) = self.recursions.borrow_mut().get_mut(place) {
            one.level -= 1;
        }
        result?;
        Ok(Value::text(out))
    }

    fn turns(
        &self,
        source: &'t For,
        items: Value,
        recursion: Option<usize>,
        level: usize,
        scope: &Rc<Scope>,
        out: &mut String,
    ) -> Result<(), Fault> {
        self.budget.values(items.items_len())?;
        let kind = items.kind();
        let Some(all) = items.items() else {
            return Err(Fault::new(format!("'{kind}' object is not iterable")));
        };
        let mut taken = Vec::with_capacity(if source.test.is_some() { 0 } else { all.len() });
        match &source.test {
            None => taken = all,
            Some(test) => {
                for item in all {
                    let inner = Scope::inside(Some(scope));
                    self.assign(&source.target, item.clone(), &inner)?;
                    if self.eval(test, &inner)?.is_true() {
                        taken.push(item);
                    }
                }
            }
        }
        if taken.is_empty() {
            self.block(&source.otherwise, &Scope::inside(Some(scope)), out)?;
            return Ok(());
        }
        let state = Rc::new(LoopState {
            items: Rc::new(Seq::new(taken)?),
            index: Cell::new(0),
            level,
            recursion,
            changed: RefCell::new(None),
        });
        let name: Name = "loop".into();
        for (index, item) in state.items.items().iter().enumerate() {
            self.budget.steps(1)?;
            state.index.set(index);
            let inner = Scope::inside(Some(scope));
            inner.set(&name, Value::Loop(state.clone()));
            self.assign(&source.target, item.clone(), &inner)?;
            if self.block(&source.body, &inner, out)? == Flow::Break {
                break;
            }
        }
        Ok(())
    }
}
