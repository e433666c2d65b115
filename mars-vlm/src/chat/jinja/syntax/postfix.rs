//! What follows a value: attributes, subscripts, calls, filters and tests.

use super::{
    super::fault::Fault,
    parser::Parser,
    token::TokenKind,
    tree::{Applied, Args, Expr, Kind},
};

impl Parser {
    pub(super) fn postfix(&mut self, mut value: Expr) -> Result<Expr, Fault> {
        loop {
            let line = self.line();
            let kind = if self.skip_op(".") {
                match self.peek().clone() {
                    TokenKind::Int(number) => {
                        self.advance();
                        let index = self.expr(Kind::Int(number), line)?;
                        Kind::Item(Box::new(value), Box::new(index))
                    }
                    _ => Kind::Attr(Box::new(value), self.name()?),
                }
            } else if self.skip_op("[") {
                self.subscript(value)?
            } else if self.is_op("(") {
                Kind::Call(Box::new(value), self.args()?)
            } else {
                return Ok(value);
            };
            value = self.expr(kind, line)?;
        }
    }

    fn subscript(&mut self, value: Expr) -> Result<Kind, Fault> {
        let mut parts = [const { None }; 3];
        let mut colons = 0;
        while !self.is_op("]") {
            if self.skip_op(":") {
                colons += 1;
            } else if colons < 3 && parts[colons].is_none() {
                parts[colons] = Some(Box::new(self.expression()?));
            } else {
                break;
            }
        }
        if colons > 2 {
            return Err(self.unexpected("]"));
        }
        self.expect_op("]")?;
        match (colons, parts) {
            (0, [Some(index), ..]) => Ok(Kind::Item(Box::new(value), index)),
            (0, _) => Err(self.unexpected("an index")),
            (_, parts) => Ok(Kind::Slice(Box::new(value), parts)),
        }
    }

    pub(super) fn args(&mut self) -> Result<Args, Fault> {
        self.expect_op("(")?;
        let mut args = Args::default();
        while !self.skip_op(")") {
            if self.skip_op("*") {
                if args.list.replace(Box::new(self.expression()?)).is_some() {
                    return Err(Fault::new("a call has two lists of arguments after `*`").at(self.line()));
                }
            } else if self.skip_op("**") {
                if args.dict.replace(Box::new(self.expression()?)).is_some() {
                    return Err(Fault::new("a call has two mappings of arguments after `**`").at(self.line()));
                }
            } else if let (TokenKind::Name(name), TokenKind::Op("=")) = (self.peek().clone(), self.look(1)) {
                self.advance();
                self.advance();
                args.named.push((name, self.expression()?));
            } else if args.named.is_empty() && args.list.is_none() && args.dict.is_none() {
                args.plain.push(self.expression()?);
            } else {
                return Err(self.unexpected("a named argument"));
            }
            if !self.skip_op(",") {
                self.expect_op(")")?;
                break;
            }
        }
        Ok(args)
    }

    /// Filters, tests and calls after `value`.
    pub(super) fn filters(&mut self, mut value: Expr) -> Result<Expr, Fault> {
        loop {
            let line = self.line();
            let kind = if self.skip_op("|") {
                Kind::Filter(Box::new(value), self.applied()?)
            } else if self.skip_name("is") {
                self.test(value)?
            } else if self.is_op("(") {
                Kind::Call(Box::new(value), self.args()?)
            } else {
                return Ok(value);
            };
            value = self.expr(kind, line)?;
        }
    }

    /// A filter's name and arguments.
    pub(super) fn applied(&mut self) -> Result<Applied, Fault> {
        let name = self.dotted()?;
        let args = if self.is_op("(") { self.args()? } else { Args::default() };
        Ok(Applied { name, args })
    }

    fn dotted(&mut self) -> Result<super::tree::Name, Fault> {
        let mut name = self.name()?.to_string();
        while self.skip_op(".") {
            name.push('.');
            name += &self.name()?;
        }
        Ok(name.into())
    }

    fn test(&mut self, value: Expr) -> Result<Kind, Fault> {
        let negated = self.skip_name("not");
        let name = self.dotted()?;
        let args = if self.is_op("(") {
            self.args()?
        } else if self.is_test_argument() {
            let argument = self.primary()?;
            Args { plain: vec![self.postfix(argument)?], ..Args::default() }
        } else if self.is_name("is") {
            return Err(Fault::new("tests with `is` cannot follow one another").at(self.line()));
        } else {
            Args::default()
        };
        Ok(Kind::Test { value: Box::new(value), test: Applied { name, args }, negated })
    }

    fn is_test_argument(&self) -> bool {
        match self.peek() {
            TokenKind::Name(name) => !matches!(&**name, "else" | "or" | "and" | "is" | "if" | "in" | "not"),
            TokenKind::Str(_) | TokenKind::Int(_) | TokenKind::Float(_) => true,
            TokenKind::Op(op) => matches!(*op, "(" | "[" | "{"),
            _ => false,
        }
    }
}
