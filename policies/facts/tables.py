"""What is known of programs: which are everyday work, and what their arguments mean.

Everyday means that a person would not want to be asked. What is not listed is asked about where
reach is not contained, so a list that lacks a program costs a question, never a miss.
"""

from __future__ import annotations

import re

from policies.facts.searches import SEARCHES
from policies.texts import names

READS = frozenset(
    names(
        "cat head tail wc nl sort uniq cut diff cmp file stat tree md5sum sha1sum sha256sum "
        "sha512sum cksum base64 base32 od hexdump xxd strings column fold comm join paste rev tac "
        "expand unexpand fmt pr readlink realpath du cloc tokei bat shellcheck pdftotext "
        "colordiff sdiff zcat bzcat xzcat shuf bc"
    )
)
"""Every operand is a file that is read and shown."""
PATTERN_FIRST = frozenset(["jq", "yq"])
"""The first operand is a program of its own, the others are files that are read."""
LISTS = frozenset(["ls", "dir", "vdir"])
WRITES = frozenset(["touch", "mkdir", "tee", "mktemp"])
TAKES_FOLDERS = frozenset(["tar", "zip", "rsync", "scp"])
"""Their operands may be folders, with all that lies below."""
COPIES = frozenset(["cp", "mv", "ln", "install"])
"""All operands but the last are read, the last is written; a link gives what it names away."""
PLAIN = frozenset(
    names(
        "echo printf true false : pwd date sleep seq expr whoami uname hostname nproc which type "
        "basename dirname printenv exit return break continue shift wait tr yes tput clear umask "
        "times ulimit arch getconf locale tty groups uptime free df ps top jobs history logger "
        "test [ [[ let read mapfile readarray getopts local export declare readonly typeset unset "
        "set cd pushd popd dirs factor numfmt cal help"
    )
)
RUNNERS = frozenset(
    names(
        "python python2 python3 pytest py.test tox nox make gmake ninja cmake meson npm yarn pnpm "
        "node deno bun tsc jest vitest mocha eslint prettier cargo rustc rustfmt go gofmt mvn "
        "gradle ant ruff mypy pyright pylint flake8 black isort coverage bandit ctest gcc g++ cc "
        "clang clang++ ruby rspec bundle rake perl php phpunit composer dotnet swift sbt lein mix "
        "stack cabal pre-commit sphinx-build mkdocs django-admin flask uvicorn pip pip3 uv poetry "
        "hatch pdm pipenv sed awk gawk mawk find git xargs env sh bash dash zsh eval source . "
        "trap"
    )
)
NETWORK = frozenset(
    names(
        "curl wget nc ncat netcat socat ssh scp sftp rsync telnet ftp lftp tftp dig nslookup host "
        "ping traceroute mtr nmap aria2c http https httpie w3m lynx links elinks aws gcloud az gh "
        "glab hub kubectl helm docker podman buildah skopeo terraform ansible ansible-playbook "
        "mail mailx sendmail mutt swaks apt apt-get aptitude dpkg dnf yum apk snap brew npx pipx "
        "uvx bunx twine openssl redis-cli psql mysql mongosh rclone s3cmd croc ngrok cloudflared "
        "whois"
    )
)
PRIVILEGE = frozenset(
    names(
        "sudo su doas pkexec runuser chroot unshare nsenter mount umount setcap insmod modprobe "
        "iptables nft sysctl useradd usermod passwd visudo setfacl capsh setpriv machinectl "
        "systemctl service halt reboot shutdown poweroff init"
    )
)
DESTRUCTIVE = frozenset(
    names(
        "rm rmdir unlink shred truncate dd mkfs wipefs fdisk parted chmod chown chgrp chattr kill "
        "pkill killall fallocate srm trash"
    )
)
LATER = frozenset(names("at batch crontab disown systemd-run start-stop-daemon tmux screen nohup"))
EVALUATES = frozenset(
    names("alias unalias enable bind complete compgen compopt shopt fc caller hash")
)
SHELLS = frozenset(["sh", "bash", "dash", "zsh", "ksh", "ash", "rbash"])
OTHER_INTERPRETERS = frozenset(
    ["perl", "ruby", "node", "php", "lua", "deno", "bun", "Rscript", "tclsh", "guile", "osascript"]
)
CODE_OPTIONS = {
    "perl": "eE",
    "ruby": "e",
    "node": "ep",
    "php": "rBRE",
    "lua": "e",
    "deno": "",
    "bun": "e",
    "Rscript": "e",
}

RISKY_OPTIONS: dict[str, tuple[tuple[str, ...], str]] = {
    "sort": (("compress-program", "files0-from", "random-source"), ""),
    "rg": (("pre", "hostname-bin", "search-zip"), "z"),
    "ag": (("pager",), ""),
    "bat": (("pager",), ""),
    "jq": (("from-file", "rawfile", "slurpfile", "args"), "fL"),
    "yq": (("from-file", "inplace"), "i"),
    "make": (("file", "makefile", "directory", "eval", "include-dir"), "fCI"),
    "gmake": (("file", "makefile", "directory", "eval"), "fCI"),
    "node": (
        ("require", "import", "loader", "experimental-loader", "eval", "print", "inspect"),
        "r",
    ),
    "tar": (("to-command", "checkpoint-action", "use-compress-program", "rsh-command"), "I"),
    "tree": (("output",), "o"),
    "date": (("set",), "s"),
    "hostname": (("file",), "F"),
    "npm": (("prefix", "script-shell", "node-options", "globalconfig", "userconfig"), ""),
    "mypy": (("config-file", "python-executable"), ""),
    "ln": ((), ""),
}
"""Long options (any beginning of them) and short letters that make an everyday program do more."""

NETWORK_SUBCOMMANDS = {
    "pip": {"install", "download", "wheel", "index", "search", "uninstall"},
    "pip3": {"install", "download", "wheel", "index", "search", "uninstall"},
    "uv": {"pip", "add", "sync", "tool", "publish", "self", "python", "lock"},
    "poetry": {"add", "install", "publish", "update", "self", "lock"},
    "pdm": {"add", "install", "publish", "update", "lock"},
    "pipenv": {"install", "update", "sync", "lock"},
    "hatch": {"publish", "env", "python"},
    "npm": set(names("install i ci add publish exec x update init create link login config set")),
    "yarn": {"add", "install", "publish", "dlx", "create", "upgrade", "config"},
    "pnpm": {"add", "install", "i", "publish", "dlx", "create", "update", "config"},
    "cargo": {"install", "publish", "add", "update", "fetch", "login", "search"},
    "go": {"get", "install", "generate", "mod", "env", "tool"},
    "bundle": {"install", "update", "add", "exec"},
    "composer": {"install", "update", "require", "global"},
    "dotnet": {"add", "restore", "publish", "tool", "nuget"},
    "deno": {"install", "run", "eval", "publish", "add"},
    "bun": {"install", "add", "x", "create", "publish"},
}
RISKY_MODULES = frozenset(
    names(
        "pip ensurepip http http.server webbrowser ftplib smtpd smtplib telnetlib code pdb runpy "
        "idlelib poplib nntplib imaplib xmlrpc.server site zipapp pipx uv poetry twine"
    )
)
"""What `python -m` may not run without a question."""

_RISKY_VARIABLE = re.compile(
    r"(?i)(GLOBIGNORE|LD_.*|DYLD_.*|PATH|IFS|ENV|BASH_ENV|BASH_FUNC_.*|SHELLOPTS|BASHOPTS|PS[0-4]|PROMPT_COMMAND"
    r"|CDPATH|HOME|GIT_(?!(AUTHOR|COMMITTER)_(DATE|NAME|EMAIL)$|PAGER$|TERMINAL_PROMPT$).*|SSH_.*|EDITOR|VISUAL|PAGER"
    r"|LESSOPEN|LESSCLOSE|MANPAGER|BROWSER|PYTHON(STARTUP|BREAKPOINT|HOME|USERBASE|PYCACHEPREFIX|EXECUTABLE)|NODE_OPTIONS|NODE_PATH"
    r"|RUBYOPT|RUBYLIB|PERL5OPT|PERL5LIB|PERL5DB|JAVA_TOOL_OPTIONS|_JAVA_OPTIONS|JDK_JAVA_OPTIONS|MAVEN_OPTS|GRADLE_OPTS"
    r"|MAKEFLAGS|MAKEFILES|CC|CXX|AR|LD|RUSTC(_.*)?|RUSTFLAGS|GOFLAGS|CGO_.*|CFLAGS|LDFLAGS|PIP_.*|UV_.*|NPM_CONFIG_.*|.*_PROXY"
    r"|CURL_HOME|WGETRC|DOCKER_.*|KUBECONFIG|AWS_.*|PYTEST_(ADDOPTS|PLUGINS)|TAR_OPTIONS|GREP_OPTIONS|RIPGREP_CONFIG_PATH|JOURNEYMAN.*"
    r"|HISTFILE|TERMINFO|LOCPATH|GCONV_PATH|MALLOC_.*|FPATH|ZDOTDIR|INPUTRC|COREPACK_.*|OPENSSL_CONF|SSL_CERT_.*|REQUESTS_CA_BUNDLE)"
)
_SWITCH = re.compile(
    r"(?i)(^|_)(ALLOW|BYPASS|SKIP|DISABLE|UNSAFE|OVERRIDE|FORCE|NO_VERIFY|UNRESTRICTED)(_|$)"
)


def is_risky_variable(name: str, value: str) -> bool:
    """Whether setting this variable makes programs do something else than they say.

    `GIT_PAGER=cat` and its like only turn a pager off.
    """
    if name.upper() in set(
        names("PAGER GIT_PAGER MANPAGER EDITOR VISUAL GIT_EDITOR")
    ) and value in {"cat", "true", ":", ""}:
        return False
    if name.upper() == "GIT_PAGER":
        return True
    return _RISKY_VARIABLE.fullmatch(name) is not None or _SWITCH.search(name) is not None


def classes_of(program: str) -> tuple[str, ...]:
    """The classes of a program by its name alone."""
    found = [
        name
        for name, members in (
            ("everyday", EVERYDAY),
            ("network", NETWORK),
            ("privilege", PRIVILEGE),
            ("destructive", DESTRUCTIVE),
            ("later", LATER),
            ("evaluates", EVALUATES),
            ("interpreter", SHELLS | OTHER_INTERPRETERS),
        )
        if program in members
    ]
    if re.fullmatch(r"python3?(\.\d+)?", program):
        found = ["everyday", "interpreter"]
    return tuple(found)


EVERYDAY = READS | PATTERN_FIRST | SEARCHES | LISTS | WRITES | COPIES | PLAIN | RUNNERS
