//! What one rendering owns: its budget, and the places of namespaces, macros and recursive loops.

use super::{
    super::{
        budget::Budget,
        fault::Fault,
        syntax::tree::{Block, For, Macro, Name},
        value::{Show, Value},
    },
    scope::Scope,
};
use crate::chat::Date;
use std::{cell::RefCell, collections::HashMap, rc::Rc};

/// One rendering of a template.
#[derive(Debug)]
pub(in super::super) struct Machine<'t> {
    pub(in super::super) budget: Budget,
    pub(super) date: Date,
    pub(super) namespaces: RefCell<Vec<Vec<(Name, Value)>>>,
    pub(super) macros: RefCell<Vec<Made<'t>>>,
    pub(super) recursions: RefCell<Vec<Recursion<'t>>>,
}

/// A macro and the scope in which it stands.
#[derive(Clone, Debug)]
pub(super) struct Made<'t> {
    pub(super) source: &'t Macro,
    pub(super) scope: Rc<Scope>,
}

/// A recursive loop, the scope in which it stands, and the number of loops around its next turn.
#[derive(Clone, Debug)]
pub(super) struct Recursion<'t> {
    pub(super) source: &'t For,
    pub(super) scope: Rc<Scope>,
    pub(super) level: usize,
}

impl<'t> Machine<'t> {
    pub(in super::super) fn new(date: Date) -> Self {
        Self {
            budget: Budget::new(),
            date,
            namespaces: RefCell::default(),
            macros: RefCell::default(),
            recursions: RefCell::default(),
        }
    }

    /// The text of `block` with these variables.
    ///
    /// # Errors
    /// Whatever the template does wrong, and what exceeds the budget.
    pub(in super::super) fn render(
        &self,
        block: &'t Block,
        variables: HashMap<Name, Value>,
    ) -> Result<String, Fault> {
        let outer = Scope::inside(None);
        variables.into_iter().for_each(|(name, value)| outer.set(&name, value));
        let mut out = String::new();
        self.block(block, &Scope::inside(Some(&outer)), &mut out)?;
        Ok(out)
    }

    /// A new namespace.
    pub(super) fn new_namespace(&self, entries: Vec<(Name, Value)>) -> Result<Value, Fault> {
        self.budget.values(2 * entries.len() + 2)?;
        let mut all = self.namespaces.borrow_mut();
        all.push(entries);
        Ok(Value::Namespace(all.len() - 1))
    }

    /// A new macro.
    pub(super) fn new_macro(&self, source: &'t Macro, scope: &Rc<Scope>) -> Result<Value, Fault> {
        self.budget.values(2)?;
        let mut all = self.macros.borrow_mut();
        all.push(Made { source, scope: scope.clone() });
        Ok(Value::Macro(all.len() - 1))
    }
}

impl Show for Machine<'_> {
    fn budget(&self) -> &Budget {
        &self.budget
    }

    fn namespace(&self, place: usize) -> Vec<(Value, Value)> {
        let all = self.namespaces.borrow();
        let entries = all.get(place).into_iter().flatten();
        entries.map(|(name, value)| (Value::Str(name.clone()), value.clone())).collect()
    }

    fn namespace_entry(&self, place: usize, name: &str) -> Option<Value> {
        let all = self.namespaces.borrow();
        all.get(place)?.iter().find(|(key, _)| &**key == name).map(|(_, value)| value.clone())
    }

    fn macro_name(&self, place: usize) -> String {
        self.macros.borrow().get(place).map(|made| made.source.name.to_string()).unwrap_or_default()
    }
}
