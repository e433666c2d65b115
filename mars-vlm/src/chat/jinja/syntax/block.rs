//! Statements: text, prints and blocks.

use super::{
    super::fault::Fault,
    parser::Parser,
    token::TokenKind,
    tree::{Applied, Block, Expr, For, Macro, Name, Statement, Takes, Target},
};

impl Parser {
    /// Statements up to a block that begins with one of `ends`, whose name is next afterwards; without `ends`, all.
    pub(super) fn block(&mut self, ends: &[&str]) -> Result<Block, Fault> {
        let mut block = Vec::new();
        loop {
            match self.peek().clone() {
                TokenKind::Data(text) => {
                    self.advance();
                    block.push(Statement::Data(text));
                }
                TokenKind::PrintBegin => {
                    self.advance();
                    block.push(Statement::Print(self.tuple(true, false)?));
                    self.expect(&TokenKind::PrintEnd)?;
                }
                TokenKind::BlockBegin => {
                    self.advance();
                    if ends.iter().any(|end| self.is_name(end)) {
                        return Ok(block);
                    }
                    let inner = self.deeper(Self::statement)?;
                    block.extend(inner);
                }
                TokenKind::End if ends.is_empty() => return Ok(block),
                _ => return Err(self.unexpected(&ends.join(" or "))),
            }
        }
    }

    /// Statements up to `{% end %}`, after the rest of the tag that opens them.
    fn body(&mut self, end: &str) -> Result<Block, Fault> {
        self.expect(&TokenKind::BlockEnd)?;
        let block = self.block(&[end])?;
        self.advance();
        self.expect(&TokenKind::BlockEnd)?;
        Ok(block)
    }

    /// A block after its `{%`.
    fn statement(&mut self) -> Result<Block, Fault> {
        let line = self.line();
        let name = self.name()?;
        let statement = match &*name {
            "if" => self.if_()?,
            "for" => self.for_()?,
            "set" => self.set()?,
            "macro" => self.macro_()?,
            "call" => self.call_block()?,
            "filter" => {
                let filters = self.filter_list()?;
                Statement::Filter(filters, self.body("endfilter")?)
            }
            "with" => self.with()?,
            "generation" => Statement::Generation(self.body("endgeneration")?),
            "block" => {
                self.name()?;
                self.expect(&TokenKind::BlockEnd)?;
                let body = self.block(&["endblock"])?;
                self.advance();
                if let TokenKind::Name(_) = self.peek() {
                    self.advance();
                }
                self.expect(&TokenKind::BlockEnd)?;
                Statement::With(Vec::new(), body)
            }
            "break" | "continue" => {
                if self.loops == 0 {
                    return Err(Fault::new(format!("{name} outside of a loop")).at(line));
                }
                self.expect(&TokenKind::BlockEnd)?;
                if &*name == "break" { Statement::Break } else { Statement::Continue }
            }
            "include" | "import" | "from" | "extends" => {
                let other = match self.peek() {
                    TokenKind::Str(other) => other.to_string(),
                    _ => "another template".into(),
                };
                let what = format!("{name} of {other}: a chat template cannot load other templates");
                return Err(Fault::new(what).at(line));
            }
            _ => return Err(Fault::new(format!("unknown statement {name}")).at(line)),
        };
        Ok(vec![statement])
    }

    fn if_(&mut self) -> Result<Statement, Fault> {
        let (mut branches, mut otherwise) = (Vec::new(), Vec::new());
        loop {
            let test = self.tuple(false, false)?;
            self.expect(&TokenKind::BlockEnd)?;
            branches.push((test, self.block(&["elif", "else", "endif"])?));
            if self.skip_name("elif") {
                continue;
            }
            if self.skip_name("else") {
                otherwise = self.body("endif")?;
            } else {
                self.advance();
                self.expect(&TokenKind::BlockEnd)?;
            }
            return Ok(Statement::If(branches, otherwise));
        }
    }

    fn for_(&mut self) -> Result<Statement, Fault> {
        let target = self.target(false)?;
        if !self.skip_name("in") {
            return Err(self.unexpected("in"));
        }
        let items = self.tuple(false, false)?;
        let test = if self.skip_name("if") { Some(self.expression()?) } else { None };
        let recursive = self.skip_name("recursive");
        self.expect(&TokenKind::BlockEnd)?;
        self.loops += 1;
        let body = self.block(&["else", "endfor"]);
        self.loops -= 1;
        let body = body?;
        let otherwise = if self.skip_name("else") {
            self.body("endfor")?
        } else {
            self.advance();
            self.expect(&TokenKind::BlockEnd)?;
            Vec::new()
        };
        Ok(Statement::For(Box::new(For { target, items, test, recursive, body, otherwise })))
    }

    /// A target: names, with commas or parentheses around several; with `attributes`, those of namespaces too.
    fn target(&mut self, attributes: bool) -> Result<Target, Fault> {
        let mut targets = vec![self.one_target(attributes)?];
        let mut several = false;
        while self.skip_op(",") {
            several = true;
            if matches!(self.peek(), TokenKind::Name(name) if &**name != "in") || self.is_op("(") {
                targets.push(self.one_target(attributes)?);
            }
        }
        match targets.pop() {
            Some(only) if !several => Ok(only),
            last => Ok(Target::Tuple(targets.into_iter().chain(last).collect())),
        }
    }

    fn one_target(&mut self, attributes: bool) -> Result<Target, Fault> {
        if self.skip_op("(") {
            let inner = self.deeper(|parser| parser.target(attributes))?;
            self.expect_op(")")?;
            return Ok(inner);
        }
        let name = self.name()?;
        if attributes && self.skip_op(".") {
            return Ok(Target::Attr(name, self.name()?));
        }
        if matches!(&*name, "true" | "True" | "false" | "False" | "none" | "None") {
            return Err(Fault::new(format!("{name} cannot be assigned to")).at(self.line()));
        }
        Ok(Target::Name(name))
    }

    fn set(&mut self) -> Result<Statement, Fault> {
        let target = self.target(true)?;
        if self.skip_op("=") {
            let value = self.tuple(true, false)?;
            self.expect(&TokenKind::BlockEnd)?;
            return Ok(Statement::Set(target, value));
        }
        let filters = if self.skip_op("|") { self.filter_list()? } else { Vec::new() };
        Ok(Statement::SetBlock(target, filters, self.body("endset")?))
    }

    fn filter_list(&mut self) -> Result<Vec<Applied>, Fault> {
        let mut filters = vec![self.applied()?];
        while self.skip_op("|") {
            filters.push(self.applied()?);
        }
        Ok(filters)
    }

    fn with(&mut self) -> Result<Statement, Fault> {
        let mut pairs = Vec::new();
        while *self.peek() != TokenKind::BlockEnd {
            let target = self.one_target(false)?;
            self.expect_op("=")?;
            pairs.push((target, self.expression()?));
            if !self.skip_op(",") {
                break;
            }
        }
        Ok(Statement::With(pairs, self.body("endwith")?))
    }

    fn macro_(&mut self) -> Result<Statement, Fault> {
        let name = self.name()?;
        let params = self.params()?;
        let made = self.macro_body(name.clone(), params, "endmacro")?;
        Ok(Statement::Macro(name, Box::new(made)))
    }

    fn call_block(&mut self) -> Result<Statement, Fault> {
        let params = if self.is_op("(") { self.params()? } else { Vec::new() };
        let call = self.expression()?;
        if !matches!(call.kind, super::tree::Kind::Call(..)) {
            return Err(self.unexpected("a call"));
        }
        let made = self.macro_body("caller".into(), params, "endcall")?;
        Ok(Statement::CallBlock(Box::new(made), call))
    }

    fn macro_body(
        &mut self,
        name: Name,
        params: Vec<(Name, Option<Expr>)>,
        end: &str,
    ) -> Result<Macro, Fault> {
        let (takes, loops) = (std::mem::take(&mut self.takes), std::mem::take(&mut self.loops));
        let body = self.body(end)?;
        self.loops = loops;
        let inner: Takes = std::mem::replace(&mut self.takes, takes);
        // A macro also mentions what macros and calls within it mention.
        self.takes.varargs |= inner.varargs;
        self.takes.kwargs |= inner.kwargs;
        self.takes.caller |= inner.caller;
        Ok(Macro { name, params, body, takes: inner })
    }

    fn params(&mut self) -> Result<Vec<(Name, Option<Expr>)>, Fault> {
        let mut params = Vec::new();
        self.expect_op("(")?;
        while !self.skip_op(")") {
            let name = self.name()?;
            let default = if self.skip_op("=") { Some(self.expression()?) } else { None };
            params.push((name, default));
            if !self.skip_op(",") {
                self.expect_op(")")?;
                break;
            }
        }
        Ok(params)
    }
}
