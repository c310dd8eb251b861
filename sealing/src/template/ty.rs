//! What is known of a value before it is there: its type, and how large it can be.

use std::collections::BTreeMap;
use std::rc::Rc;

// `Eq` lets `Rc` see at once that two are the same one.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Ty {
    /// A key that is not there.
    Nil,
    Bool,
    Int,
    /// At most so many bytes.
    Text(usize),
    List(Rc<List>),
    Map(Rc<BTreeMap<String, Ty>>),
    /// One of several, none of them a union and no two alike.
    Union(Rc<Vec<Ty>>),
}

#[derive(Clone, PartialEq, Eq)]
pub(super) struct List {
    /// At most so many items.
    pub(super) most: usize,
    /// At least one.
    pub(super) some: bool,
    pub(super) item: Ty,
}

/// The longest integer of 64 bits, with its sign.
const INT: usize = 20;

impl Ty {
    pub(super) fn text(most: usize) -> Self {
        Self::Text(most)
    }

    pub(super) fn list(most: usize, some: bool, item: Ty) -> Self {
        Self::List(Rc::new(List { most, some, item }))
    }

    /// A type that holds both.
    pub(super) fn or(&self, other: &Self) -> Self {
        match (self, other) {
            (a, b) if a == b => a.clone(),
            (Self::Text(a), Self::Text(b)) => Self::Text(*a.max(b)),
            (Self::List(a), Self::List(b)) => {
                Self::list(a.most.max(b.most), a.some && b.some, a.item.or(&b.item))
            }
            (Self::Map(a), Self::Map(b)) if a.keys().eq(b.keys()) => {
                let both = a.iter().zip(b.values());
                Self::Map(Rc::new(
                    both.map(|((key, a), b)| (key.clone(), a.or(b))).collect(),
                ))
            }
            (a, b) => {
                let mut kinds = a.kinds().to_vec();
                for kind in b.kinds() {
                    match kinds.iter_mut().find(|known| known.is_like(kind)) {
                        Some(known) => *known = known.or(kind),
                        None => kinds.push(kind.clone()),
                    }
                }
                Self::Union(Rc::new(kinds))
            }
        }
    }

    /// Without the kind that is nothing.
    pub(super) fn without_nil(&self) -> Self {
        let mut kinds = self.kinds().iter().filter(|kind| **kind != Self::Nil);
        let first = kinds.next().cloned().unwrap_or(Self::Nil);
        kinds.fold(first, |ty, kind| ty.or(kind))
    }

    fn kinds(&self) -> &[Ty] {
        match self {
            Self::Union(kinds) => kinds,
            one => std::slice::from_ref(one),
        }
    }

    /// Whether the two together are one kind and no union.
    fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(_), Self::Text(_)) | (Self::List(_), Self::List(_)) => true,
            (Self::Map(a), Self::Map(b)) => a.keys().eq(b.keys()),
            (a, b) => a == b,
        }
    }

    /// Whether both are one and the same, seen without looking into them.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(a), Self::List(b)) => Rc::ptr_eq(a, b),
            (Self::Map(a), Self::Map(b)) => Rc::ptr_eq(a, b),
            (Self::Union(a), Self::Union(b)) => Rc::ptr_eq(a, b),
            (Self::List(_) | Self::Map(_) | Self::Union(_), _) => false,
            (a, b) => a == b,
        }
    }

    /// How many types it is made of, counted to `most` and so many levels deep; none if there are more, or it is deeper.
    pub(super) fn parts(&self, most: usize, levels: usize) -> Option<usize> {
        let many = |parts: &mut dyn Iterator<Item = &Ty>| {
            let mut count: usize = 1;
            for part in parts {
                count += part.parts(most.checked_sub(count)?, levels.checked_sub(1)?)?;
            }
            Some(count)
        };
        let count = match self {
            Self::List(list) => many(&mut std::iter::once(&list.item)),
            Self::Map(fields) => many(&mut fields.values()),
            Self::Union(kinds) => many(&mut kinds.iter()),
            _ => Some(1),
        }?;
        (count <= most).then_some(count)
    }

    /// The most bytes that printing it takes.
    pub(super) fn printed(&self) -> usize {
        match self {
            Self::Nil => "<no value>".len(),
            Self::Bool => "false".len(),
            Self::Int => INT,
            Self::Text(most) => *most,
            Self::List(list) => times(list.most, list.item.printed().saturating_add(1)).saturating_add(2),
            Self::Map(fields) => sum(
                fields
                    .iter()
                    .map(|(key, ty)| ty.printed().saturating_add(key.len() + 2)),
                5,
            ),
            Self::Union(kinds) => kinds.iter().map(Self::printed).max().unwrap_or_default(),
        }
    }

    /// The most bytes that it takes as JSON, indented by two spaces a level that is so deep, or not at all.
    pub(super) fn json(&self, deep: Option<usize>) -> usize {
        let line = deep.map_or(0, |deep| 2 * (deep + 1) + 2);
        let deeper = deep.map(|deep| deep + 1);
        match self {
            Self::Nil => "null".len(),
            Self::Bool => "false".len(),
            Self::Int => INT,
            Self::Text(most) => json_text(*most),
            Self::List(list) => {
                let item = list.item.json(deeper).saturating_add(1 + line);
                times(list.most, item).saturating_add(2 + line)
            }
            Self::Map(fields) => {
                let field = |(key, ty): (&String, &Ty)| {
                    sum([json_text(key.len()), ty.json(deeper)].into_iter(), 3 + line)
                };
                sum(fields.iter().map(field), 2 + line)
            }
            Self::Union(kinds) => kinds.iter().map(|kind| kind.json(deep)).max().unwrap_or_default(),
        }
    }
}

/// A byte can become `\u0000`.
fn json_text(most: usize) -> usize {
    times(most, 6).saturating_add(2)
}

pub(super) fn times(a: usize, b: usize) -> usize {
    a.saturating_mul(b)
}

fn sum(parts: impl Iterator<Item = usize>, start: usize) -> usize {
    parts.fold(start, usize::saturating_add)
}
