//! Variables in nested scopes.

use super::super::{budget::Budget, fault::Fault, syntax::tree::Name, value::Value};
use std::{cell::RefCell, collections::HashMap, rc::Rc};

/// Scopes that are looked through within one step.
const LEVELS_A_STEP: usize = 8;

/// The variables of a block, and those around it.
#[derive(Debug)]
pub(super) struct Scope {
    variables: RefCell<HashMap<Name, Value>>,
    parent: Option<Rc<Scope>>,
}

impl Scope {
    pub(super) fn inside(parent: Option<&Rc<Self>>) -> Rc<Self> {
        Rc::new(Self { variables: RefCell::default(), parent: parent.cloned() })
    }

    /// # Errors
    /// If no steps are left.
    pub(super) fn get(&self, name: &str, budget: &Budget) -> Result<Option<Value>, Fault> {
        let mut scope = self;
        for level in 1_usize.. {
            if let Some(value) = scope.variables.borrow().get(name) {
                return Ok(Some(value.clone()));
            }
            let Some(parent) = scope.parent.as_deref() else { break };
            scope = parent;
            if level % LEVELS_A_STEP == 0 {
                budget.steps(1)?;
            }
        }
        Ok(None)
    }

    pub(super) fn set(&self, name: &Name, value: Value) {
        self.variables.borrow_mut().insert(name.clone(), value);
    }
}
