//! Expressions, from the loosest operator to literals.

use super::{
    super::fault::Fault,
    parser::Parser,
    token::TokenKind,
    tree::{Arithmetic, Comparison, Expr, Kind},
};

impl Parser {
    /// One expression, or a tuple of several after one another; with `condition`, `a if b else c` too.
    pub(super) fn tuple(&mut self, condition: bool, parentheses: bool) -> Result<Expr, Fault> {
        let line = self.line();
        let (mut items, mut is_tuple) = (Vec::new(), false);
        while !self.is_tuple_end() {
            items.push(if condition { self.expression()? } else { self.or()? });
            if !self.skip_op(",") {
                break;
            }
            is_tuple = true;
        }
        match items.pop() {
            None if !parentheses => Err(self.unexpected("an expression")),
            Some(only) if !is_tuple => Ok(only),
            last => {
                items.extend(last);
                self.expr(Kind::Tuple(items), line)
            }
        }
    }

    fn is_tuple_end(&self) -> bool {
        matches!(self.peek(), TokenKind::PrintEnd | TokenKind::BlockEnd | TokenKind::Op(")"))
            || self.is_name("recursive")
    }

    pub(super) fn expression(&mut self) -> Result<Expr, Fault> {
        self.deeper(|parser| {
            let line = parser.line();
            let mut value = parser.or()?;
            while parser.skip_name("if") {
                let test = parser.or()?;
                let no = if parser.skip_name("else") { Some(Box::new(parser.expression()?)) } else { None };
                value = parser.expr(Kind::If { test: Box::new(test), yes: Box::new(value), no }, line)?;
            }
            Ok(value)
        })
    }

    pub(super) fn or(&mut self) -> Result<Expr, Fault> {
        let line = self.line();
        let mut left = self.and()?;
        while self.skip_name("or") {
            let right = self.and()?;
            left = self.expr(Kind::Or(Box::new(left), Box::new(right)), line)?;
        }
        Ok(left)
    }

    fn and(&mut self) -> Result<Expr, Fault> {
        let line = self.line();
        let mut left = self.not()?;
        while self.skip_name("and") {
            let right = self.not()?;
            left = self.expr(Kind::And(Box::new(left), Box::new(right)), line)?;
        }
        Ok(left)
    }

    fn not(&mut self) -> Result<Expr, Fault> {
        let line = self.line();
        if !self.skip_name("not") {
            return self.compare();
        }
        let inner = self.deeper(Self::not)?;
        self.expr(Kind::Not(Box::new(inner)), line)
    }

    fn compare(&mut self) -> Result<Expr, Fault> {
        let line = self.line();
        let left = self.sum()?;
        let mut others = Vec::new();
        while let Some(comparison) = self.comparison() {
            others.push((comparison, self.sum()?));
        }
        if others.is_empty() { Ok(left) } else { self.expr(Kind::Compare(Box::new(left), others), line) }
    }

    /// Takes a comparison, if one is next.
    fn comparison(&mut self) -> Option<Comparison> {
        let (comparison, len) = match self.peek() {
            TokenKind::Op("==") => (Comparison::Eq, 1),
            TokenKind::Op("!=") => (Comparison::Ne, 1),
            TokenKind::Op("<") => (Comparison::Lt, 1),
            TokenKind::Op("<=") => (Comparison::Le, 1),
            TokenKind::Op(">") => (Comparison::Gt, 1),
            TokenKind::Op(">=") => (Comparison::Ge, 1),
            TokenKind::Name(name) if &**name == "in" => (Comparison::In, 1),
            TokenKind::Name(name) if &**name == "not" => {
                matches!(self.look(1), TokenKind::Name(next) if &**next == "in")
                    .then_some((Comparison::NotIn, 2))?
            }
            _ => return None,
        };
        (0..len).for_each(|_| self.advance());
        Some(comparison)
    }

    /// Operators of one precedence, from the left.
    fn chain(
        &mut self,
        operators: &[(&str, Arithmetic)],
        operand: fn(&mut Self) -> Result<Expr, Fault>,
    ) -> Result<Expr, Fault> {
        let line = self.line();
        let mut left = operand(self)?;
        while let Some((_, operator)) = operators.iter().find(|(op, _)| self.is_op(op)) {
            self.advance();
            let right = operand(self)?;
            left = self.expr(Kind::Binary(*operator, Box::new(left), Box::new(right)), line)?;
        }
        Ok(left)
    }

    fn sum(&mut self) -> Result<Expr, Fault> {
        self.chain(&[("+", Arithmetic::Add), ("-", Arithmetic::Sub)], Self::concat)
    }

    fn concat(&mut self) -> Result<Expr, Fault> {
        let line = self.line();
        let first = self.product()?;
        if !self.is_op("~") {
            return Ok(first);
        }
        let mut parts = vec![first];
        while self.skip_op("~") {
            parts.push(self.product()?);
        }
        self.expr(Kind::Concat(parts), line)
    }

    fn product(&mut self) -> Result<Expr, Fault> {
        let operators = [
            ("*", Arithmetic::Mul),
            ("/", Arithmetic::Div),
            ("//", Arithmetic::FloorDiv),
            ("%", Arithmetic::Rem),
        ];
        self.chain(&operators, Self::power)
    }

    fn power(&mut self) -> Result<Expr, Fault> {
        self.chain(&[("**", Arithmetic::Pow)], |parser| parser.unary(true))
    }

    /// Signs, a literal or name, what follows it, and its filters unless they belong to what is around.
    fn unary(&mut self, filters: bool) -> Result<Expr, Fault> {
        let line = self.line();
        let value = if self.skip_op("-") {
            let inner = self.deeper(|parser| parser.unary(false))?;
            self.expr(Kind::Minus(Box::new(inner)), line)?
        } else if self.skip_op("+") {
            let inner = self.deeper(|parser| parser.unary(false))?;
            self.expr(Kind::Plus(Box::new(inner)), line)?
        } else {
            self.primary()?
        };
        let value = self.postfix(value)?;
        if filters { self.filters(value) } else { Ok(value) }
    }

    pub(super) fn primary(&mut self) -> Result<Expr, Fault> {
        let line = self.line();
        let kind = match self.peek().clone() {
            TokenKind::Name(name) => match &*name {
                "true" | "True" => Kind::Bool(true),
                "false" | "False" => Kind::Bool(false),
                "none" | "None" => Kind::None,
                _ => {
                    match &*name {
                        "varargs" => self.takes.varargs = true,
                        "kwargs" => self.takes.kwargs = true,
                        "caller" => self.takes.caller = true,
                        _ => {}
                    }
                    Kind::Name(name)
                }
            },
            TokenKind::Int(number) => Kind::Int(number),
            TokenKind::Float(number) => Kind::Float(number),
            TokenKind::Str(first) => {
                if !matches!(self.look(1), TokenKind::Str(_)) {
                    self.advance();
                    return self.expr(Kind::Str(first), line);
                }
                let mut text = String::new();
                while let TokenKind::Str(part) = self.peek() {
                    text += part;
                    self.advance();
                }
                return self.expr(Kind::Str(text.into()), line);
            }
            TokenKind::Op("(") => {
                self.advance();
                let value = self.deeper(|parser| parser.tuple(true, true))?;
                self.expect_op(")")?;
                return Ok(value);
            }
            TokenKind::Op("[") => {
                self.advance();
                return self.list(line);
            }
            TokenKind::Op("{") => {
                self.advance();
                return self.dict(line);
            }
            _ => return Err(self.unexpected("an expression")),
        };
        self.advance();
        self.expr(kind, line)
    }

    fn list(&mut self, line: u32) -> Result<Expr, Fault> {
        let mut items = Vec::new();
        while !self.skip_op("]") {
            items.push(self.expression()?);
            if !self.skip_op(",") {
                self.expect_op("]")?;
                break;
            }
        }
        self.expr(Kind::List(items), line)
    }

    fn dict(&mut self, line: u32) -> Result<Expr, Fault> {
        let mut pairs = Vec::new();
        while !self.skip_op("}") {
            let key = self.expression()?;
            self.expect_op(":")?;
            pairs.push((key, self.expression()?));
            if !self.skip_op(",") {
                self.expect_op("}")?;
                break;
            }
        }
        self.expr(Kind::Dict(pairs), line)
    }
}
