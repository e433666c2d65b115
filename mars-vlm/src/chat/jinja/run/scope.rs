//! Variables in nested scopes.

use super::super::{syntax::tree::Name, value::Value};
use std::{cell::RefCell, collections::HashMap, rc::Rc};

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

    pub(super) fn get(&self, name: &str) -> Option<Value> {
        let mut scope = self;
        loop {
            if let Some(value) = scope.variables.borrow().get(name) {
                return Some(value.clone());
            }
            scope = scope.parent.as_deref()?;
        }
    }

    pub(super) fn set(&self, name: &Name, value: Value) {
        self.variables.borrow_mut().insert(name.clone(), value);
    }
}
