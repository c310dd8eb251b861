//! Where the two names of the command differ: defaults, and what is taken for granted.

use super::Job;
use super::format::sealed_format;
use super::write::Format;
use crate::cluster;
use crate::command_error::CommandError;
use sealing::Scope;
use std::path::{Path, PathBuf};

/// By which name it was called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    /// `signet seal`: nothing is taken from where one happens to be logged in, and a conflict is an error.
    Signet,
    /// `kubeseal`: the defaults of its flags, and its rules for what wins.
    Kubeseal,
}

impl Job<'_> {
    pub(super) fn is_kubeseal(&self) -> bool {
        self.dialect == Dialect::Kubeseal
    }

    /// The scope that was asked for. kubeseal cannot tell an explicit `strict` from its default, so that it does not
    /// override the Secret's annotations.
    pub(super) fn scope(&self) -> Option<Scope> {
        let asked: Option<Scope> = self.args.scope.as_ref().and_then(|name| name.parse().ok());
        asked.filter(|scope| !(self.is_kubeseal() && *scope == Scope::Strict))
    }

    /// The namespace that was asked for.
    pub(super) fn asked_namespace(&self) -> Option<&str> {
        self.args.namespace.as_deref().filter(|name| !name.is_empty())
    }

    /// The namespace for what names none. kubeseal takes it from the kubeconfig. `signet seal` does not: the namespace
    /// is part of what is sealed, and must not depend on where one happens to be logged in.
    pub(super) fn default_namespace(&self) -> Result<Option<String>, CommandError> {
        match self.asked_namespace() {
            Some(asked) => Ok(Some(asked.to_owned())),
            None if self.is_kubeseal() => cluster::context_namespace(self.global, &self.args.connection),
            None => Ok(None),
        }
    }

    /// The files to read. kubeseal takes no arguments without a flag, and does not mind them either.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        let named = &self.args.files;
        if self.is_kubeseal() && !named.is_empty() {
            self.ui
                .note("warning: arguments without a flag are ignored; name the input with -f FILE");
        }
        let named = named.iter().filter(|_| !self.is_kubeseal());
        let flag = self
            .args
            .secret_file
            .iter()
            .filter(|file| !file.as_os_str().is_empty());
        named.chain(flag).cloned().collect()
    }

    /// The file to write to.
    pub(super) fn output_file(&self) -> Option<&Path> {
        let file = self.args.output_file.as_deref();
        file.filter(|file| !file.as_os_str().is_empty())
    }

    /// The format to write. kubeseal's default is JSON, and a name that ends in `.yaml` wins over its flag.
    pub(super) fn format(&self, input_is_json: bool) -> Result<Format, CommandError> {
        let mut texts = self
            .args
            .output
            .iter()
            .rev()
            .filter(|name| sealed_format(name).is_none());
        let asked = texts.next().map(|name| Format::named(name)).transpose()?;
        let by_name = self.output_file().and_then(Format::of_file);
        Ok(match self.dialect {
            Dialect::Kubeseal if by_name == Some(Format::Yaml) => Format::Yaml,
            Dialect::Kubeseal => asked.unwrap_or(Format::Json),
            Dialect::Signet if input_is_json => asked.or(by_name).unwrap_or(Format::Json),
            Dialect::Signet => asked.or(by_name).unwrap_or(Format::Yaml),
        })
    }
}
