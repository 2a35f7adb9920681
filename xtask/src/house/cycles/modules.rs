//! Here are a crate's files: which module does a name in one of them come from? A name that is handed on is followed to
//! where it is defined. What cannot be followed belongs to nobody: a rule that is not sure is quiet.

use std::collections::{BTreeMap, HashMap};

use super::names::{Names, Path};
use crate::house::rust_text::RustText;
use crate::house::source::SourceFile;

/// How often a name may be handed on: two modules that hand it to each other must not keep us.
const MAX_HANDED_ON: usize = 16;

/// A file of the crate.
pub struct Module {
    /// Its names from the root, which has none.
    pub path: Vec<String>,
    pub file: String,
    names: Names,
}

/// What a path leads to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Target {
    Module(usize),
    /// Something that this module defines.
    Item(usize),
}

/// One file that needs another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrow {
    pub from: usize,
    pub to: usize,
    /// Where, from one, and by which name.
    pub line: usize,
    pub name: String,
}

/// The modules of one crate.
pub struct Modules {
    pub modules: Vec<Module>,
    by_path: HashMap<Vec<String>, usize>,
}

impl Modules {
    /// The product modules of the crate whose sources lie in `folder`.
    pub fn read(folder: &str, files: &[SourceFile]) -> Self {
        let of_crate = files.iter().filter(|file| !file.is_test_file());
        let of_crate = of_crate.filter_map(|file| Some((file, module_path(file.path.strip_prefix(folder)?)?)));
        let mut modules: BTreeMap<Vec<String>, Module> = BTreeMap::new();
        for (file, path) in of_crate {
            let names = Names::read(&RustText::read(&file.text).code);
            let file = file.path.clone();
            // Of a binary beside a library, the library is what others import.
            let is_main = file.ends_with("/main.rs");
            if !(is_main && modules.contains_key(&path)) {
                modules.insert(path.clone(), Module { path, file, names });
            }
        }
        let for_tests: Vec<Vec<String>> = modules
            .values()
            .flat_map(|module| {
                let below = |name: &String| [module.path.as_slice(), std::slice::from_ref(name)].concat();
                module.names.test_modules.iter().map(below)
            })
            .collect();
        modules.retain(|path, _| !for_tests.iter().any(|test| path.starts_with(test)));
        let modules: Vec<Module> = modules.into_values().collect();
        let by_path = modules.iter().enumerate().map(|(at, module)| (module.path.clone(), at));
        Self {
            by_path: by_path.collect(),
            modules,
        }
    }

    /// Which module needs which.
    pub fn arrows(&self) -> Vec<Arrow> {
        let mut arrows: Vec<Arrow> = (0..self.modules.len()).flat_map(|at| self.arrows_of(at)).collect();
        arrows.retain(|arrow| arrow.from != arrow.to);
        arrows
    }

    fn arrows_of(&self, from: usize) -> Vec<Arrow> {
        let names = &self.modules[from].names;
        let mut arrows = Vec::new();
        let mut push = |to: usize, line: usize, name: &str| {
            arrows.push(Arrow {
                from,
                to,
                line,
                name: name.to_owned(),
            });
        };
        for import in &names.imports {
            let line = import.path.line;
            let target = self.resolve(from, &import.path.segments, 0);
            if import.alias == "*" {
                let Some(Target::Module(to)) = target else { continue };
                let foreign = names.used.keys().filter(|name| !names.defined.contains(*name));
                for name in foreign {
                    if let Some(Target::Item(to)) = self.item(to, name, 0) {
                        push(to, line, name);
                    }
                }
                continue;
            }
            let is_used = names.used.contains_key(&import.alias)
                || names.paths.iter().any(|path| path.segments[0] == import.alias);
            match target {
                // What is imported for others to find is not used here.
                Some(Target::Item(to)) if is_used || !(import.is_public || self.is_below(to, from)) => {
                    push(to, line, &import.alias);
                }
                // A module is a prefix of paths, which lead on; but it may share its name with what it defines.
                Some(Target::Module(to)) if names.used.contains_key(&import.alias) => push(to, line, &import.alias),
                _ => {}
            }
        }
        for Path { segments, line } in &names.paths {
            if let Some(Target::Item(to) | Target::Module(to)) = self.resolve(from, segments, 0) {
                push(to, *line, &segments.join("::"));
            }
        }
        arrows
    }

    fn is_below(&self, module: usize, above: usize) -> bool {
        self.modules[module].path.starts_with(&self.modules[above].path)
    }

    fn child(&self, module: usize, name: &str) -> Option<usize> {
        let path = [self.modules[module].path.as_slice(), &[name.to_owned()]].concat();
        self.by_path.get(&path).copied()
    }

    /// What a path leads to that stands in `from`.
    fn resolve(&self, from: usize, segments: &[String], handed_on: usize) -> Option<Target> {
        let (first, mut rest) = segments.split_first()?;
        let begin = match first.as_str() {
            "crate" => self.by_path.get(&Vec::new()).copied()?,
            "self" => from,
            "super" => {
                let mut path = self.modules[from].path.as_slice();
                path = path.split_last()?.1;
                while let Some((_, after)) = rest.split_first().filter(|(next, _)| *next == "super") {
                    path = path.split_last()?.1;
                    rest = after;
                }
                self.by_path.get(path).copied()?
            }
            name => match self.named(from, name, handed_on)? {
                Target::Module(module) => module,
                item @ Target::Item(_) => return Some(item),
            },
        };
        self.walk(begin, rest, handed_on)
    }

    /// What the path `rest` leads to from within `module`.
    fn walk(&self, mut module: usize, rest: &[String], handed_on: usize) -> Option<Target> {
        for name in rest {
            match self.item(module, name, handed_on)? {
                Target::Module(next) => module = next,
                // What is within an item is where the item is.
                item @ Target::Item(_) => return Some(item),
            }
        }
        Some(Target::Module(module))
    }

    /// What a name means at the beginning of a path: not something that `module` itself defines, which is no import.
    fn named(&self, module: usize, name: &str, handed_on: usize) -> Option<Target> {
        if self.modules[module].names.defined.contains(name) {
            return None;
        }
        self.item(module, name, handed_on)
    }

    /// What `name` is in `module`: a module below it, an item of its own, or one that it imports.
    fn item(&self, module: usize, name: &str, handed_on: usize) -> Option<Target> {
        if handed_on > MAX_HANDED_ON {
            return None;
        }
        if let Some(child) = self.child(module, name) {
            return Some(Target::Module(child));
        }
        let names = &self.modules[module].names;
        if names.defined.contains(name) {
            return Some(Target::Item(module));
        }
        let follow = |segments: &[String]| {
            // A name that imports itself (`use regex::Regex` beside a module of that name) is somebody else's.
            (segments != [name])
                .then(|| self.resolve(module, segments, handed_on + 1))
                .flatten()
        };
        if let Some(import) = names.imports.iter().find(|import| import.alias == name) {
            return follow(&import.path.segments);
        }
        let globs = names.imports.iter().filter(|import| import.alias == "*");
        globs
            .filter_map(|glob| match follow(&glob.path.segments)? {
                Target::Module(from) => self.item(from, name, handed_on + 1),
                Target::Item(_) => None,
            })
            .next()
    }
}

/// The module of a file below a crate's `src`, by its names from the root; `None` for a binary of its own.
fn module_path(file: &str) -> Option<Vec<String>> {
    let file = file.strip_suffix(".rs")?;
    let mut path: Vec<String> = file
        .split('/')
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    if path.first().is_some_and(|first| first == "bin") {
        return None;
    }
    let is_root = path.len() == 1 && (path[0] == "lib" || path[0] == "main");
    if is_root || path.last().is_some_and(|last| last == "mod") {
        path.pop();
    }
    Some(path)
}
