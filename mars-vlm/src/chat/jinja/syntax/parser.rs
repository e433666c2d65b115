//! The state of parsing: tokens, depth, what macros mention.

use super::{
    super::{
        budget::{DEEPEST_SOURCE, LONGEST_SOURCE},
        fault::Fault,
    },
    lexer,
    token::{Token, TokenKind},
    tree::{Block, Expr, Kind, Name, Takes},
};

/// The statements of the template `source`.
///
/// # Errors
/// With the line, for what the language does not have, and a source that is too long or nested too deeply.
pub(in super::super) fn parse(source: &str) -> Result<Block, Fault> {
    if source.len() > LONGEST_SOURCE {
        let what =
            format!("the template has {} bytes, more than the {LONGEST_SOURCE} that are read", source.len());
        return Err(Fault::new(what));
    }
    let tokens = lexer::tokens(source)?;
    let mut parser = Parser { tokens, at: 0, depth: 0, loops: 0, takes: Takes::default() };
    let result = parser.block(&[]);
    result.map_err(|fault| fault.at(parser.line()))
}

pub(super) struct Parser {
    tokens: Vec<Token>,
    at: usize,
    depth: u32,
    /// Loops around the current place.
    pub(super) loops: u32,
    /// What the current macro mentions.
    pub(super) takes: Takes,
}

impl Parser {
    pub(super) fn peek(&self) -> &TokenKind {
        self.look(0)
    }

    /// The token `ahead` tokens after the next.
    pub(super) fn look(&self, ahead: usize) -> &TokenKind {
        self.tokens.get(self.at + ahead).map_or(&TokenKind::End, |token| &token.kind)
    }

    pub(super) fn line(&self) -> u32 {
        self.tokens.get(self.at).or(self.tokens.last()).map_or(1, |token| token.line)
    }

    pub(super) fn advance(&mut self) {
        self.at += 1;
    }

    pub(super) fn is_op(&self, op: &str) -> bool {
        matches!(self.peek(), TokenKind::Op(found) if *found == op)
    }

    pub(super) fn is_name(&self, name: &str) -> bool {
        matches!(self.peek(), TokenKind::Name(found) if &**found == name)
    }

    /// Skips this operator, if it is next.
    pub(super) fn skip_op(&mut self, op: &str) -> bool {
        let is = self.is_op(op);
        self.at += usize::from(is);
        is
    }

    /// Skips this word, if it is next.
    pub(super) fn skip_name(&mut self, name: &str) -> bool {
        let is = self.is_name(name);
        self.at += usize::from(is);
        is
    }

    pub(super) fn expect_op(&mut self, op: &str) -> Result<(), Fault> {
        if self.skip_op(op) { Ok(()) } else { Err(self.unexpected(op)) }
    }

    pub(super) fn expect(&mut self, kind: &TokenKind) -> Result<(), Fault> {
        if self.peek() != kind {
            return Err(self.unexpected(&kind.shown()));
        }
        self.advance();
        Ok(())
    }

    pub(super) fn name(&mut self) -> Result<Name, Fault> {
        let TokenKind::Name(name) = self.peek().clone() else { return Err(self.unexpected("a name")) };
        self.advance();
        Ok(name)
    }

    pub(super) fn unexpected(&self, expected: &str) -> Fault {
        Fault::new(format!("unexpected {}, expected {expected}", self.peek().shown())).at(self.line())
    }

    /// Parses something that may contain its like.
    pub(super) fn deeper<T>(
        &mut self,
        inside: impl FnOnce(&mut Self) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.depth >= DEEPEST_SOURCE {
            return Err(self.too_deep());
        }
        self.depth += 1;
        let result = inside(self);
        self.depth -= 1;
        result
    }

    /// An expression of this kind.
    pub(super) fn expr(&self, kind: Kind, line: u32) -> Result<Expr, Fault> {
        let depth = kind.depth_below() + 1;
        if depth > DEEPEST_SOURCE {
            return Err(self.too_deep());
        }
        Ok(Expr { kind, line, depth })
    }

    fn too_deep(&self) -> Fault {
        Fault::new(format!("the template is nested more than {DEEPEST_SOURCE} levels deep")).at(self.line())
    }
}
