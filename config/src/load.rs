//! Turns files into a checked [`Config`]: which files, in which order, and what each key sets.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use policy::login::NameStyle;

use crate::check::{self, list, some};
use crate::source::{NO_STORE, OTHER_SOURCE};
use crate::tree::{self, Item, Section, Table};
use crate::{
    Account, Aws, Config, CreateHomes, Error, Keys, Publish, Refresh, Removed, Safety, Source, Store, TagUse,
    Trust, Users,
};

impl Config {
    /// Reads and checks the configuration whose main file is `main`.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn load(main: &Path) -> Result<Self, Error> {
        Self::parse(&Self::texts(main)?)
    }

    /// Reads `main`, then the files `*.toml` of the directory `config.d` next to it, in order of name.
    ///
    /// # Errors
    /// See [`Error`]. A missing `main` is an error, a missing directory is not.
    pub fn texts(main: &Path) -> Result<Vec<(PathBuf, String)>, Error> {
        let first = (main.to_owned(), read(main)?);
        Ok([vec![first], Self::drop_ins(main)?].concat())
    }

    /// Reads only the files `*.toml` of the directory `config.d` next to `main`.
    ///
    /// # Errors
    /// See [`Error`]. A missing directory is not an error.
    pub fn drop_ins(main: &Path) -> Result<Vec<(PathBuf, String)>, Error> {
        let with_text = |path: PathBuf| read(&path).map(|text| (path, text));
        drop_ins(&main.with_file_name("config.d"))?.into_iter().map(with_text).collect()
    }

    /// The file whose value of this key counts, such as `["aws", "role"]`: the last one that sets it.
    ///
    /// # Errors
    /// [`Error::Wrong`] if a file is not TOML.
    pub fn set_by<'a>(texts: &'a [(PathBuf, String)], key: &[&str]) -> Result<Option<&'a Path>, Error> {
        for (path, text) in texts.iter().rev() {
            if tree::has(&tree::parse(path, text)?, key) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Merges files, where later files override earlier ones, and checks the result. The paths are used only in
    /// messages.
    ///
    /// # Errors
    /// [`Error::Wrong`] for the first mistake.
    pub fn parse(texts: &[(PathBuf, String)]) -> Result<Self, Error> {
        let mut merged = Table::new();
        for (path, text) in texts {
            tree::merge(&mut merged, tree::parse(path, text)?);
        }
        root(merged)
    }
}

fn read(path: &Path) -> Result<String, Error> {
    let failed = |cause: io::Error| Error::Read {
        path: path.to_owned(),
        hint: match cause.kind() {
            io::ErrorKind::NotFound => "install the package's file again, or name another with --config",
            io::ErrorKind::InvalidData => "write the file in UTF-8",
            _ => "make it a file that the refresher's user can read: chmod 0644",
        },
        cause,
    };
    // Opening a FIFO would wait for a writer.
    if !fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("not a regular file")));
    }
    let mut file = File::open(path).map_err(failed)?;
    refuse_world_writable(path, &file.metadata().map_err(failed)?)?;
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

fn drop_ins(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |cause| Error::Read {
        path: directory.to_owned(),
        cause,
        hint: "make it a directory that the refresher's user can read: chmod 0755",
    };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(failed(e)),
    };
    refuse_world_writable(directory, &fs::metadata(directory).map_err(failed)?)?;
    let paths =
        entries.map(|entry| entry.map(|e| e.path())).collect::<Result<Vec<_>, _>>().map_err(failed)?;
    // Hidden files are skipped, as by the shell's `*.toml`: editors create them.
    let wanted = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.ends_with(b".toml") && !name.starts_with(b".")
    };
    let mut paths: Vec<_> = paths.into_iter().filter(wanted).collect();
    paths.sort();
    Ok(paths)
}

fn refuse_world_writable(path: &Path, metadata: &fs::Metadata) -> Result<(), Error> {
    let mode = metadata.permissions().mode();
    if mode & 0o002 != 0 {
        return Err(Error::Writable { path: path.to_owned(), shared: mode & 0o1000 != 0 });
    }
    Ok(())
}

fn root(entries: Table) -> Result<Config, Error> {
    let mut config = Config::default();
    let mut root = Section::new("the top level", entries);
    let mut source = root.section("source")?;
    let url = source.take("url");
    if let Some(url) = &url {
        config.source = check::source(url)?;
    }
    config.store = store(&mut source, &config.source)?;
    config.trust = Trust::read(&mut source, &config.source, url.as_ref())?;
    source.end()?;
    let groups = config.source.group_names();
    root.set("groups", &mut config.groups, list(|item| check::group(item, groups)))?;
    let tag = root.take("groups_from_instance_tag");
    config.groups_from_instance_tag = tag.as_ref().map(check::instance_tag).transpose()?;
    if let (Some(tag), Source::S3 { .. }) = (&tag, &config.source) {
        return Err(
            tag.wrong("instance tags are not read for a listing in S3", "name the groups in groups = […]")
        );
    }
    let is_read = !config.groups.is_empty() || config.groups_from_instance_tag.is_some();
    if let (Some(url), Source::IdentityCenter, None, true) = (url, &config.source, &config.store, is_read) {
        return Err(url.wrong(NO_STORE.0, NO_STORE.1));
    }
    config.aws = aws(root.section("aws")?)?;
    let source = config.source.clone();
    root.set("account", &mut config.account, |item| accounts(item, &source))?;
    config.users = users(root.section("users")?)?;
    root.set("local_groups", &mut config.local_groups, |item| check::local_groups(item, groups))?;
    root.set("shell_groups", &mut config.shell_groups, list(|item| check::group(item, groups)))?;
    let mut names = root.section("names")?;
    names.set("reserved", &mut config.names.reserved, list(check::reserved_name))?;
    names.set("exclude", &mut config.names.exclude, list(check::part_of_host))?;
    names.set("allow", &mut config.names.allow, |item| check::allowed_names(item, &source))?;
    names.end()?;
    let mut tags = root.section("tags")?;
    tags.set("use", &mut config.tags.uses, list(tag_use))?;
    tags.set("prefix", &mut config.tags.prefix, check::tag_prefix)?;
    tags.end()?;
    root.set("ids", &mut config.ids, |item| check::ids(item, &source))?;
    config.keys = keys(root.section("keys")?)?;
    config.refresh = refresh(root.section("refresh")?, &config.keys)?;
    config.safety = safety(root.section("safety")?)?;
    config.publish = Publish::read(root.section("publish")?, &source)?;
    root.end()?;
    Ok(config)
}

/// The identity store in this section, which only one source has.
fn store(section: &mut Section, source: &Source) -> Result<Option<Store>, Error> {
    let (id, region) = (section.take("identity_store"), section.take("region"));
    match (source, &id, &region) {
        (Source::IdentityCenter, Some(id), _) => {
            let region = region.as_ref().map(check::region).transpose()?;
            Ok(Some(Store { id: check::identity_store(id)?, region }))
        }
        (Source::IdentityCenter, None, Some(region)) => Err(region.wrong(NO_STORE.0, NO_STORE.1)),
        (_, Some(item), _) | (_, _, Some(item)) => Err(item.wrong(OTHER_SOURCE.0, OTHER_SOURCE.1)),
        (_, None, None) => Ok(None),
    }
}

fn aws(mut section: Section) -> Result<Aws, Error> {
    let mut aws = Aws::default();
    section.set("role", &mut aws.role, some(check::role))?;
    section.set("external_id", &mut aws.external_id, some(check::external_id))?;
    section.set("session_name", &mut aws.session_name, check::session_name)?;
    section.set("region", &mut aws.region, some(check::region))?;
    section.set("timeout", &mut aws.timeout, check::duration)?;
    section.set("concurrency", &mut aws.concurrency, |item| check::integer(item, 1, 64))?;
    section.set("account_details", &mut aws.account_details, Item::bool)?;
    section.set("endpoint_url", &mut aws.endpoint_url, some(check::http_url))?;
    section.set("endpoint_url_iam", &mut aws.endpoint_url_iam, some(check::http_url))?;
    section.set("endpoint_url_sts", &mut aws.endpoint_url_sts, some(check::http_url))?;
    section.set("endpoint_url_identitystore", &mut aws.endpoint_url_identitystore, some(check::http_url))?;
    section.set("endpoint_url_s3", &mut aws.endpoint_url_s3, some(check::http_url))?;
    section.set("https_proxy", &mut aws.https_proxy, some(check::http_url))?;
    section.set("no_proxy", &mut aws.no_proxy, some(check::no_proxy))?;
    section.set("ca_bundle", &mut aws.ca_bundle, |item| Ok(Some(check::absolute_path(item)?.into())))?;
    section.set("use_fips", &mut aws.use_fips, Item::bool)?;
    section.set("use_dualstack", &mut aws.use_dualstack, Item::bool)?;
    section.end()?;
    Ok(aws)
}

fn accounts(item: &Item, source: &Source) -> Result<Vec<Account>, Error> {
    let names = source.group_names();
    let mut accounts: Vec<Account> = Vec::new();
    for item in item.array()? {
        let mut section = Section::new("[[account]]", item.table()?.clone());
        let mut account = Account::default();
        let name = section.take("name").ok_or_else(|| {
            item.wrong("an [[account]] without a name", "add name = \"…\"; log messages use it")
        })?;
        account.name = check::account_name(&name)?;
        if accounts.iter().any(|other| other.name == account.name) {
            return Err(name.wrong("another [[account]] has this name", "give each account a different name"));
        }
        account.store = store(&mut section, source)?;
        if *source == Source::IdentityCenter && account.store.is_none() {
            return Err(name.wrong(NO_STORE.0, NO_STORE.1));
        }
        section.set("role", &mut account.role, some(check::role))?;
        section.set("external_id", &mut account.external_id, some(check::external_id))?;
        section.set("groups", &mut account.groups, list(|item| check::group(item, names)))?;
        section.set("local_groups", &mut account.local_groups, |item| check::local_groups(item, names))?;
        section.set("shell_groups", &mut account.shell_groups, list(|item| check::group(item, names)))?;
        section.end()?;
        accounts.push(account);
    }
    Ok(accounts)
}

fn users(mut section: Section) -> Result<Users, Error> {
    let mut users = Users::default();
    section.set("shell", &mut users.shell, check::shell)?;
    section.set("home", &mut users.home, check::home)?;
    section.set("gecos", &mut users.gecos, check::gecos)?;
    section.set("common_group", &mut users.common_group, check::common_group)?;
    let moments = [("login", CreateHomes::Login), ("refresh", CreateHomes::Refresh)];
    section.set("create_homes", &mut users.create_homes, |item| check::choice(item, &moments))?;
    section.set("strip_domains", &mut users.strip_domains, list(check::domain))?;
    let styles = [("plain", NameStyle::Plain), ("aws-ec2-ssh", NameStyle::AwsEc2Ssh)];
    section.set("name_style", &mut users.name_style, |item| check::choice(item, &styles))?;
    let removed = [("disable", Removed::Disable), ("hide", Removed::Hide)];
    section.set("removed", &mut users.removed, |item| check::choice(item, &removed))?;
    section.set("removed_keep", &mut users.removed_keep, check::duration)?;
    section.set("terminate_sessions", &mut users.terminate_sessions, Item::bool)?;
    section.set("forward_only", &mut users.forward_only, Item::bool)?;
    section.end()?;
    Ok(users)
}

fn tag_use(item: &Item) -> Result<TagUse, Error> {
    check::choice(item, &TagUse::ALL.map(|usage| (usage.word(), usage)))
}

fn keys(mut section: Section) -> Result<Keys, Error> {
    let mut keys = Keys::default();
    section.set("options", &mut keys.options, check::key_options)?;
    section.set("max_age", &mut keys.max_age, check::age)?;
    section.set("sshd", &mut keys.sshd, Item::bool)?;
    section.set("instance_connect", &mut keys.instance_connect, Item::bool)?;
    section.set("user_ca", &mut keys.user_ca, check::user_ca)?;
    section.end()?;
    Ok(keys)
}

fn refresh(mut section: Section, keys: &Keys) -> Result<Refresh, Error> {
    let mut refresh = Refresh::default();
    section.set("every", &mut refresh.every, |item| check::keys_every(item, keys.max_age))?;
    section.set("keys_every", &mut refresh.keys_every, |item| check::keys_every(item, keys.max_age))?;
    section.set("members_every", &mut refresh.members_every, check::every)?;
    section.set("max_calls_per_minute", &mut refresh.max_calls_per_minute, check::calls)?;
    section.end()?;
    Ok(refresh)
}

fn safety(mut section: Section) -> Result<Safety, Error> {
    let mut safety = Safety::default();
    section
        .set("max_removed_percent", &mut safety.max_removed_percent, |item| check::integer(item, 0, 100))?;
    section.end()?;
    Ok(safety)
}
