# How `latexmk` builds the document: LaTeX, then the paper's Python through PythonTeX,
# BibTeX, and LaTeX until nothing changes.  Perl, as latexmk reads it.
use Cwd qw(abs_path getcwd);
use Digest::MD5;
use Fcntl qw(:flock F_GETFL F_SETFL O_APPEND);
use File::Basename 'dirname';
use File::Copy ();
use File::Find ();
use File::Glob 'bsd_glob';
use File::Path 'rmtree';
use File::Temp 'tempdir';
use POSIX ();
use Time::HiRes ();

my $root = getcwd();
@default_files = -e 'paper.tex' ? 'paper.tex'
    : grep { grep /^\s*\\documentclass/, read_lines($_) } bsd_glob('*.tex');
# The document's name: paper, unless another is built, which needs a folder of its own.
# After -r stands a latexmkrc.
my ($job) = (
    map({ /^--?jobname=(.*)/ } @ARGV),
    map({ m{([^/]+?)(?:\.tex)?$} }
        grep({ !/^-|latexmkrc$/ && (-f || -f "$_.tex") } @ARGV), @default_files),
    'paper',
);
$pdf_mode      = 1;    # pdfLaTeX, which arXiv wants; -pdfxe and -pdflua work too
$force_mode    = 1;    # a LaTeX error may be an old result's, which the next run mends
$bibtex_use    = 2;    # references.bib is here, so paper.bbl can be made again: -c removes it
$warnings_as_errors = 1;    # a PDF with ?? for a reference is no success
set_tex_cmds('-interaction=nonstopmode -synctex=1 %O %S');
# TeX cuts its messages at 79 characters otherwise.
@ENV{'max_print_line', 'error_line', 'half_error_line'} = (1000, 254, 238);

# The blocks run under the first python on PATH.
$ENV{PATH} = "$root/.venv/bin:$ENV{PATH}" if -x "$root/.venv/bin/python3";
my ($python3) = grep { -x } map { "$_/python3" } split /:/, $ENV{PATH};
if ($python3 && !grep { -x "$_/python" } split /:/, $ENV{PATH}) {
    my $links = tempdir(CLEANUP => 1);
    symlink $python3, "$links/python";
    $ENV{PATH} = "$links:$ENV{PATH}";
}
# With an output directory the blocks run there, and still import pycode and literate.
$ENV{PYTHONPATH} = join ':', $root, $ENV{PYTHONPATH} // ();
# Bytecode counts as fresh for a whole second after an edit: write none, and remove others'.
$ENV{PYTHONDONTWRITEBYTECODE} = 1;
# So Python compiles PythonTeX's code each time, and 3.12 or newer warns of that of PythonTeX 0.18.
my ($pythontex) = grep { -x } map { "$_/pythontex" } split /:/, $ENV{PATH};
$ENV{PYTHONWARNINGS} = join ',', $ENV{PYTHONWARNINGS} || (),
    map { 'ignore::SyntaxWarning:' . s/\.py$//r } bsd_glob(dirname(abs_path($pythontex)) . '/*.py')
    if $pythontex;
# The order of a set of texts is another for each seed.
$ENV{PYTHONHASHSEED} = 0;
rmtree([bsd_glob("$root/{,pycode/,pycode/*/,literate/,literate/*/}__pycache__")]);
# PDFs are dated by the commit, so that all builds of it are the same; a copy without git, by a day.
chomp($ENV{SOURCE_DATE_EPOCH} //= `git log -1 --format=%ct 2>/dev/null` || 1793491200);
$ENV{FORCE_SOURCE_DATE} = 1;
# No block may wait for a window to be closed.
$ENV{MPLBACKEND} = 'Agg';
# PythonTeX keeps what blocks print, so how far they are is shown where latexmk itself prints.
# In a file neither may write over the other.  make verify has another place for it.
$ENV{PYCODE_PROGRESS} ||= "/proc/$$/fd/2";
fcntl STDERR, F_SETFL, O_APPEND | fcntl STDERR, F_GETFL, 0 if -f STDERR;

# PythonTeX reads the blocks and the run the claims, which LaTeX writes, and writes what LaTeX inputs.
$extra_rule_spec{'pythontex'} = [
    'internal', '', 'run_pythontex',
    '%Y%R.pytxcode', '%Ypythontex-files-%R/%R.pytxmcr', '%R', 1, ['results.tex'],
];
$hash_calc_ignore_pattern{'pytxmcr'} = '^%Last time';    # which is all that a forced run changes
$hash_calc_ignore_pattern{'claims'}  = '^% ';            # the line that a claim stands on
push @generated_exts, 'pytxcode', 'claims', 'made', 'synctex.gz', 'synctex(busy)';

# LaTeX reads the preamble from a format, while there is one that is proven: see make_format.
my $format = "$root/.$job.format";
my ($formats, $slow, $edited) = $ENV{TEXFORMATS};
{
    local *STDOUT;    # latexmk 4.86 prints that a hook is added
    open STDOUT, '>', '/dev/null';
    add_hook('before_xlatex', 'take_format');
    add_hook('after_xlatex', 'name_inputs');
    add_hook('after_xlatex', 'locate_output');
}

my $building;
open my $lock, '+<', "$root/latexmkrc";    # the watcher holds it, too
my $life = watch();
begin_build();
if (grep { /^--?pvc$/ } @ARGV) {    # others may build in between
    $compiling_cmd = 'internal begin_build';
    $success_cmd   = 'internal pause_build';
    $failure_cmd   = 'internal explain';
}

# latexmk does not see a figure deleted or replaced, what kept the last run from its end (a
# missing package, say, that is there now), or a second edit within a second: then everything
# is made again.
$go_mode = 1 if outdated(run_record());

# Two builds would write the same files, so the later one waits.
sub begin_build {
    return 0 if $building++;
    $force_mode = 1;    # which -pvc unsets: LaTeX has to mark the pages of a run that failed
    if (defined fileno $lock && !flock $lock, LOCK_EX | LOCK_NB) {
        print STDERR "Latexmk: this folder is being built already: waiting until that has ended\n";
        flock $lock, LOCK_EX;
    }
    my ($state, %made) = made();
    my @strange = grep { contents($_) ne $made{$_} } keys %made;
    $edited = $state eq 'ended';
    if ($state !~ /^(ended|failed)$/) {
        # latexmk was killed, perhaps with its watcher, and any file may be half-written.
        kill_all("PYCODE_BUILD=$state");
        unlink grep { !/\.pdf$/ } keys %made, outputs('', $job);
        unlink bsd_glob("$job.{aux,log,out,toc,lof,lot,fls,xdv,made.[0-9]*}"),
            bsd_glob('{{pdf,xe,lua}latex[0-9]*.fls,.results.{tex,json}.[0-9]*}'),
            bsd_glob('figures/.*.pdf.[0-9]*');
        $go_mode = 1;
    }
    elsif (@strange) {
        # Somebody else has written them, and latexmk would not look into them again.
        rmtree([map { m{^(.*pythontex-files-[^/]*)/} ? $1 : /\.pdf$/ ? () : $_ } @strange]);
        $go_mode = 3 if grep { /\.pdf$/ } @strange;
        delete @made{@strange};
    }
    # After a commit the PDF has another date, for which LaTeX alone has to run.
    my $dated = "% dated $ENV{SOURCE_DATE_EPOCH}\n";
    $go_mode ||= 3 unless grep { $_ eq $dated } read_lines("$root/$job.made");
    # It would not try again by itself, and Ctrl-C in LaTeX is an error, too.
    $go_mode = 1 if $state eq 'failed';
    write_made($ENV{PYCODE_BUILD}, %made);
    return 0;
}

sub end_build {
    my ($state) = @_;
    return unless $building;
    my ($begun, %made) = made();
    # The first build shows that the paper can be built, those after an edit that it is being written.
    make_format() if $state eq 'ended' && $slow && $edited && ($ENV{PYCODE_FORMAT} // '') ne 'off';
    $slow = 0;
    delete @made{grep { !-e } keys %made};
    if ($root_filename) {
        my @files = ("$out_dir1$root_filename.pdf", outputs($aux_dir1, $root_filename));
        $made{$_} = contents($_) for grep { -e } @files;
    }
    write_made($state, %made);
    flock $lock, LOCK_UN if defined fileno $lock;
    $building = 0;
}

sub pause_build {
    end_build($failure > 0 ? 'failed' : 'ended') if $preview_continuous_mode;
    return 0;
}

# paper.made says how latexmk ended, or which one did not, and what the files were like then.
sub made {
    my @lines = read_lines("$root/$job.made");
    my $state = @lines && $lines[-1] =~ /^(ended|failed|[\d-]+)$/ ? $1 : 'missing';
    return $state, map { /^(\w*) (.*)/ ? ($2 => $1) : () } @lines;
}

sub write_made {
    my ($state, %made) = @_;
    open my $file, '>', "$root/$job.made.$$" or return;
    print $file "% dated $ENV{SOURCE_DATE_EPOCH}\n";
    print $file map({ "$made{$_} $_\n" } sort keys %made), "$state\n";
    close $file ? rename "$root/$job.made.$$", "$root/$job.made" : unlink "$root/$job.made.$$";
}

# PythonTeX writes the time into two of its files.
sub contents {
    my ($file) = @_;
    return $file =~ /\.pkl$/ ? -s $file // ''
        : Digest::MD5::md5_hex(grep { !/^%Last time/ } read_lines($file));
}

# The files that programs other than TeX write or read.
sub outputs {
    my ($folder, $job) = @_;
    return bsd_glob("$folder$job.{bbl,fdb_latexmk,pytxcode}"),
        bsd_glob("${folder}pythontex-files-$job/*");
}

# However latexmk ends, nothing that it has started goes on, and writes into the next build.
sub watch {
    $ENV{PYCODE_BUILD} = "$$-$^T";
    pipe my $watched, my $alive or return;
    my $watcher = fork // return;
    return $alive if $watcher;
    $0 = 'watcher';    # killall latexmk is not meant for it
    $SIG{$_} = 'IGNORE' for qw(HUP INT QUIT TERM);
    close $_ for $alive, *STDIN, *STDOUT, *STDERR;
    kill_all("PYCODE_BUILD=$ENV{PYCODE_BUILD}") unless <$watched>;
    POSIX::_exit(0);
}

# Kills the processes that have `$mark` in their environment, where /proc shows it.
sub kill_all {
    my ($mark) = @_;
    my $waits = 0;
    for (1 .. 100) {
        my (@marked, $hidden);
        for my $file (bsd_glob('/proc/[0-9]*/environ')) {
            my %environment = map { $_ => 1 } split /\0/, join('', read_lines($file));
            push @marked, $file =~ /(\d+)/ if $environment{$mark};
            # While a process becomes another program, it shows nothing.
            $hidden ||= !%environment && readlink $file =~ s/environ$/exe/r;
        }
        next if kill 'KILL', @marked;
        return if !$hidden || $waits++ > 20;
        Time::HiRes::sleep(0.005);
    }
}

# What results.tex says of the run that wrote it: how it ended, in which folder it ran, the files
# it read and wrote with their digests, and the claims it checked.
sub run_record {
    my %run = (
        (state => 'missing', folder => '', blocks => '', n_claims => 0),
        (inputs => {}, read => [], claims => {}),
    );
    my @lines = read_lines("$root/results.tex");
    return %run unless @lines && $lines[-1] eq "% end\n";
    for (@lines) {
        $run{state}     = $1 if /^\\resultstate\{(\w+)\}/;
        $run{failure}  .= "$1\n" if /^% failure (.+)/;
        $run{blocks}    = $1 if /^\\resultblocks\{(\w*)\}/;
        $run{n_claims}  = $1 if /^% claims (\d+)/;
        $run{folder}    = $1 if /^% in (.*)/;
        $run{inputs}{"$2 $3"} = $1 if /^% (?:read|wrote) (\w*) (\w+) (.*)/;
        push @{$run{read}}, $1 if /^% read \w* file (.*)/;
        $run{claims}{$1} = 1 if /^\\claimstate\{(.*)\}\{\w+\}/;
    }
    return %run;
}

# Whether a run did not end well, its files are not as it left them, or it checked other claims.
sub outdated {
    my %run = @_;
    my $claims = join '', read_lines(($aux_dir1 // '') . "$job.claims");
    my %places = map { $_ => 1 } $claims =~ /(.*\n.*\n)/g;
    my %claims = map { s/\s+$//r => 1 } grep { !/^% / } split /^/, $claims;
    my $blocks = blocks(($aux_dir1 // '') . "$job.pytxcode");
    return $run{state} ne 'complete'
        || ($blocks && $blocks ne $run{blocks})
        || grep({ digest(split / /, $_, 2) ne $run{inputs}{$_} } keys %{$run{inputs}})
        || $run{n_claims} != keys %places    # one less is checked already, but counted
        || grep { !$run{claims}{$_} || !$claims{$_} } keys %claims, keys %{$run{claims}};
}

# What macros.tex and results.py compute as well: a digest of the code, wherever it stands.
sub blocks {
    my $digest = '';
    for (read_lines(shift)) {
        last if /^=>PYTHONTEX:SETTINGS#/;
        my $line = /^=>PYTHONTEX#/ ? (split /#/)[6] : s/[ \t]*\n//r;
        $digest = uc Digest::MD5::md5_hex($digest . $line);
    }
    return $digest;
}

# Makes a format of the preamble in the background, and keeps it if LaTeX gives the same PDF, blocks
# and claims with it as it has just given without it.  Lists all that the format depends on.
my $n_formats = 0;

sub make_format {
    my $new = "$format.$$-" . $n_formats++;
    rmtree([bsd_glob("$format.[0-9]*")]);
    mkdir $_ for $new, "$new/proof";
    my $child = fork // return;
    return waitpid $child, 0 if $child;
    fork && POSIX::_exit(0);    # nobody has to wait for the second one
    POSIX::setsid();
    POSIX::nice(10);
    open STDIN, '<', '/dev/null';
    open $_, '>', '/dev/null' for *STDOUT, *STDERR;
    close $_ for $life, $lock;
    my ($begun, @before) = (Time::HiRes::time(), map { digest('file', $_) } $texfile_name, "$root/results.tex");
    $ENV{TEXFORMATS} = $formats // '';
    my @tex = ('-recorder', '-interaction=batchmode', '-halt-on-error', "-jobname=$root_filename");
    my $made = !system('pdftex', '-ini', @tex, "-output-directory=$new", '&pdflatex',
        "\\def\\literatepaper{$texfile_name}\\input literate/format ");
    # TeX compresses a format, which it then has to expand in each run.
    system 'sh', '-c', 'gzip -cdf "$1" > "$2"', 'sh', "$new/$root_filename.fmt", "$new/pdflatex.fmt"
        if $made;
    unlink "$new/$root_filename.fmt";
    my @files = read_lines("$new/$root_filename.fls");
    # Files that the preamble opens to write into, such as an index, would stay closed.
    $made &&= !grep { /^OUTPUT / && !/\.(?:fmt|log|pytxcode)$/ } @files;
    my %names = map { m{^INPUT (?:\Q$root\E/|\./)?(.+)} ? ($1 => 1) : () } @files;
    my @read = map { [$_ eq $texfile_name ? 'preamble' : m{^/} ? 'stamp' : 'file', $_] } keys %names;
    # A new file may be found instead of another, and PDFs are dated.
    my %places = map { m{^!!(.*?)/tex/|^(.*?)/*$} ? ($1 // $2 => 1) : () }
        split /[:\n]/, `kpsewhich -progname=pdflatex -show-path=tex`;
    delete $places{'.'};
    my @inputs = (@read, ['folder', '.'], map({ ['tree', $_] } sort keys %places),
        map { ['env', $_] } qw(SOURCE_DATE_EPOCH TEXINPUTS TEXMFHOME));
    $ENV{TEXFORMATS} = "$new:$ENV{TEXFORMATS}";
    File::Copy::copy($_, "$new/proof") for bsd_glob("$aux_dir1$root_filename.{aux,out,toc,lof,lot,bbl}");
    system('pdflatex', @tex, "-output-directory=$new/proof", $texfile_name) if $made;
    my @pairs = (["$out_dir1$root_filename.pdf", 'pdf'], map { ["$aux_dir1$root_filename.$_", $_] } qw(pytxcode claims));
    # The number of a PDF depends on its folder.
    my $same = !grep {
        my @texts = map { join('', read_lines($_)) =~ s{^/ID \[.*}{}mr } $$_[0], "$new/proof/$root_filename.$$_[1]";
        $texts[0] ne $texts[1];
    } @pairs;
    my @after = map { digest('file', $_) } $texfile_name, "$root/results.tex";
    # A preamble that cannot be kept is known by its inputs alone, and not tried again.
    unlink "$new/pdflatex.fmt" unless $same;
    rmtree("$new/proof");
    # What somebody has saved meanwhile may have been read before; the clock of files is a little late.
    my $saved = "@before" ne "@after"
        || grep { $$_[0] eq 'file' && (Time::HiRes::stat($$_[1]))[9] > $begun - 0.05 } @read;
    if (open my $file, '>', "$new/inputs") {
        print $file map { digest(@$_) . " @$_\n" } @inputs;
        print $file digest('stamp', "$new/pdflatex.fmt"), " stamp .$job.format/pdflatex.fmt\n";
        $saved ||= !close $file;
    }
    rmtree($saved ? $new : $format);
    rename $new, $format;
    POSIX::_exit(0);
}

sub take_format {
    my $fresh = $rule eq 'pdflatex' && fresh_format();
    $slow = $rule eq 'pdflatex' && !$fresh;
    my $kept = $fresh && -e "$format/pdflatex.fmt";
    $ENV{TEXFORMATS} = join ':', $kept ? $format : (), $formats // '';
}

# latexmk looks for changes in the files of the preamble, which LaTeX has not opened.
sub name_inputs {
    defined $formats ? ($ENV{TEXFORMATS} = $formats) : delete $ENV{TEXFORMATS};
    return if $slow || $rule ne 'pdflatex';
    open my $fls, '>>', "$aux_dir1$root_filename.fls" or return;
    print $fls map { /^\w+ (?:file|stamp) ([^.].*)/ ? "INPUT $1\n" : () } read_lines("$format/inputs");
}

# In SyncTeX's records what a block has printed stands in a file of PythonTeX's, and what \py prints in
# none.  A click on the first leads to its block, and on the second to the place before it.
sub locate_output {
    my $name = "$out_dir1$root_filename.synctex";
    return unless -e "$name.gz";
    eval { require IO::Compress::Gzip; require IO::Uncompress::Gunzip } or return;
    IO::Uncompress::Gunzip::gunzip("$name.gz", \my $records) or return;
    my %files = map { /^Input:(\d+):(.*)/ ? ($1 => $2) : () } split /\n/, $records;
    my (%places, $last);
    for (grep { /^=>PYTHONTEX#/ } read_lines("$aux_dir1$root_filename.pytxcode")) {
        my (undef, $type, $session, $group, $number, $file, $line) = (split /#/)[0 .. 4, 9, 10];
        my ($source) = grep { $file && $files{$_} =~ m{/\Q$file\E$} } keys %files;
        my $output = "${type}_${session}_${group}_$number.stdout";
        $places{$_} = ($source // 1) . ",$line" for grep { $files{$_} =~ m{/\Q$output\E$} } keys %files;
    }
    $records =~ s{^([\[(a-z\$])((\d+),\d+)(?=[,:])}
        {$1 . ($last = $places{$3} || !$files{$3} && $last || $2)}gem;
    $records =~ s/^Input:(\d+):.*\n/$places{$1} ? '' : $&/gem;
    # LuaTeX takes a form for a page.
    $records =~ s/^\{(\d+)\n(?:[^{}].*\n)*\}(?!\1\n)\d+\n//gm;
    IO::Compress::Gzip::gzip(\$records, "$name(busy)") && rename "$name(busy)", "$name.gz";
}

sub fresh_format {
    my @inputs = map { /^(\w*) (\w+) (.*)/ ? [$1, $2, $3] : () } read_lines("$format/inputs");
    return @inputs && !grep { digest($$_[1], $$_[2]) ne $$_[0] } @inputs;
}

sub read_lines { open my $file, '<', shift or return; return <$file> }

# What stands before \begin{document}.
sub preamble {
    my $text = '';
    for (@_) {
        return $text . $1 if /^([^%]*?)\\begin\s*\{document\}/;
        $text .= $_;
    }
    return $text;
}

sub saved { return (stat shift)[9] // 0 }

# What literate/inputs.py finds for an input.
sub digest {
    my ($kind, $name) = @_;
    return defined $ENV{$name} ? Digest::MD5::md5_hex($ENV{$name}) : '' if $kind eq 'env';
    return -d $name ? 'folder' : -e $name ? 'file' : '' if $kind eq 'exists';
    return Digest::MD5::md5_hex(preamble(read_lines($name))) if $kind eq 'preamble';
    # latexmk 4.86 has another stat, which knows no `_` and has parts of seconds.
    return -e $name ? join '_', (CORE::stat _)[7, 9] : '' if $kind eq 'stamp';
    if ($kind eq 'tree') {    # the names below a folder, or the list of them that TeX itself reads
        return digest('stamp', "$name/ls-R") if -e "$name/ls-R";
        my @names;
        File::Find::find({ follow_fast => 1, follow_skip => 2,
            wanted => sub { push @names, $File::Find::name } }, $name) if -d $name;
        return Digest::MD5::md5_hex(join "\n", sort @names);
    }
    if ($kind =~ /^(folder|packages)$/) {
        opendir my $folder, $name or return '';
        my %found = map { $_ => 1 } readdir $folder;
        my $made  = qr/^(?:\.|pythontex-files-|__pycache__$|results\.(?:tex|json)$|.*\.(?:aux|bbl|blg
            |claims|fdb_latexmk|fls|log|made|out|pytxcode|synctex.*|xdv)$)/x;
        my @names = $kind eq 'packages' ? grep { /-info$/ } keys %found
            : grep { !/$made/ && !(/^(.*)\.pdf$/ && $found{"$1.tex"}) } keys %found;
        return Digest::MD5::md5_hex(join "\n", sort @names);
    }
    open my $file, '<:raw', $name or return '';
    return Digest::MD5->new->addfile($file)->hexdigest;
}

# Under -pvc a Python that has imported the libraries forks for each run: literate/interpreter.py.
my %interpreter;

sub start_interpreter {
    return if %interpreter && !stale_interpreter();
    my ($python) = grep { -x } map { "$_/python" } split /:/, $ENV{PATH};
    my $folder = tempdir(CLEANUP => 1);
    open my $shim, '>', "$folder/python" or return;
    print $shim map { "$_\n" } '#!/bin/sh', 'exec ' . join(' ', map { quoted($_) }
        $python, '-SEs', "$root/literate/interpreter.py", 'run', "$folder/socket") . ' "$@"';
    close $shim && chmod 0755, "$folder/python" or return;
    pipe my $read, my $write or return;
    my $pid = fork // return;
    if (!$pid) {
        POSIX::setsid();    # Ctrl-C is for latexmk, and this ends with it
        open STDIN, '<&', $read;
        open $_, '>', '/dev/null' for *STDOUT, *STDERR;
        $ENV{OMP_NUM_THREADS} //= 1;    # as literate has it
        close $_ for $life, $lock, $write;
        exec $python, "$root/literate/interpreter.py", 'serve', "$folder/socket" or POSIX::_exit(1);
    }
    # What it rests on is the packages that are installed, and Python itself.
    my %run  = run_record();
    my @rest = grep { /^(?:packages|stamp) / } keys %{$run{inputs}};
    # The one before ends when its $write is closed.
    %interpreter = (pid => $pid, folder => $folder, write => $write, rest => \@rest);
    $interpreter{digests} = digests(@rest);
}

sub stale_interpreter {
    return waitpid($interpreter{pid}, POSIX::WNOHANG)
        || $interpreter{digests} ne digests(@{$interpreter{rest}});
}

sub digests { return join ' ', map { digest(split / /, $_, 2) } @_ }

sub quoted { return "'" . shift =~ s/'/'\\''/gr . "'" }

my $postponed;

sub run_pythontex {
    my $job = "$aux_dir1$root_filename";
    my %before = run_record();
    unlink "$root/results.tex" if $before{state} ne 'complete';    # it tells of another failure
    if (!$postponed && saved($texfile_name) > saved("$job.pytxcode")) {
        # The blocks may have changed: LaTeX first, and then this again.
        rdb_one_rule($current_primary, sub { $$Pout_of_date = 1 });
        run_again("$job.pytxcode");
        return !($postponed = 1);
    }
    $postponed = 0;

    my ($code, @output) = (0);
    # PythonTeX knows when a block has changed, but not all the files behind it, and it
    # must not be left with the old ones if someone saves a file during a long run.
    for my $attempt (1 .. 3) {
        my %run = run_record();
        my @always = ('--rerun=always')
            x !!(outdated(%run) || $run{folder} ne abs_path($aux_dir1 || '.'));
        last if $attempt > 1 && !@always;
        @always = '--rerun=always' if ($ENV{PYCODE_AUDIT} // '') eq 'all';
        rdb_ensure_file($rule, $_) for bsd_glob('{pycode,literate}/*.{py,mplstyle}'), "$job.claims";
        @output = ();
        # sh, because a folder's name may hold spaces and PythonTeX's errors are on both streams
        local $ENV{PYCODE_RUN} = $$;
        local $ENV{PATH} = "$interpreter{folder}:$ENV{PATH}" if %interpreter && !stale_interpreter();
        my $pid = open my $pipe, '-|', 'sh', '-c', 'exec pythontex "$@" 2>&1', 'sh', @always, $job;
        my $status;
        # Its blocks do not end with it, and would keep the pipe open.
        local $SIG{CHLD} = sub {
            local ($?, $!);
            return if waitpid($pid, POSIX::WNOHANG) != $pid;
            $status = $?;
            kill_all("PYCODE_RUN=$$");
        };
        while (<$pipe>) { print balanced($_); push @output, $_ }
        close $pipe;
        $code = $status //= $?;
        push @output, "\nPythonTeX was killed: build again\n" if $status & 127;
        last if $code;
    }
    my $refusal = refusal(read_lines("$job.pytxcode"));
    my %run = run_record();
    rdb_ensure_file($rule, $_) for @{$run{read}};
    unless ($code || $refusal || $run{state} ne 'complete') {
        start_interpreter() if $preview_continuous_mode;
        return 0;
    }

    # PythonTeX leaves old values if it does not reach its own end.
    my $ended = grep { /^PythonTeX: / } @output;
    rmtree("${aux_dir1}pythontex-files-$root_filename") if $refusal || !$ended;
    write_failure($refusal // join '', @output) if $refusal || $run{state} ne 'failed';
    return 1;
}

# A line with a parenthesis for each: by them editors see in the log which file LaTeX is in.
sub balanced {
    my ($line) = @_;
    my ($before, $after) = ('', '');
    for ($line =~ /[()]/g) {
        if    ($_ eq '(')      { $after .= ')' }
        elsif (length $after)  { chop $after }
        else                   { $before .= '(' }
    }
    return $before . $line =~ s/(?=\n?\z)/$after/r;
}

# Lets latexmk run PythonTeX at the next opportunity, as if its source had changed.
sub run_again {
    my ($source) = @_;
    delete $$PHsource{$source};
    rdb_ensure_file($rule, $source, undef, 1);
}

# What of the blocks would not be followed, and so could show old values.
sub refusal {
    my @code = @_;
    return "no block of $root_filename.tex calls results.begin(pytex)"
        unless grep { /\bbegin\(pytex\b/ } @code;
    my %sessions = map { /^=>PYTHONTEX#(\w+#\w+)#.*#(.*)#(\d+)#$/ ? ($1 => place($2, $3)) : () } @code;
    return undef if keys %sessions < 2;
    my ($other) = sort grep { $_ ne 'py#default' } keys %sessions;
    return "$sessions{$other}: all blocks run in one session, but here is $other";
}

# A line of a file, of the document's own if PythonTeX names none.
sub place { return ($_[0] || "$root_filename.tex") . ":$_[1]" }

# Where a line of code stands that PythonTeX may have looked for in another file.
sub places_of {
    my ($wanted) = @_;
    my ($file, $line, @places);
    for (read_lines("$aux_dir1$root_filename.pytxcode")) {
        last if /^=>PYTHONTEX:SETTINGS#/;
        if (/^=>PYTHONTEX#/) { ($file, $line) = (split /#/)[9, 10] }
        else { $line++; push @places, place($file, $line) if /^\s*\Q$wanted\E\s*$/ }
    }
    return @places;
}

# Marks the paper as failed where the run could not do so itself: Python or PythonTeX is
# missing, literate cannot be imported, a block is no Python.
sub write_failure {
    my ($output) = @_;
    $output =~ s/\n-{20,}\n.*//s;
    my $line     = $output =~ /error on line (\d+)(?: in "(.*)")?:/ ? place($2, $1) . ': ' : '';
    my @places   = $output =~ /py_default_default\.py", line \d+\n\s*(.*)/ ? places_of($1) : ();
    $line = "$places[0]: " if @places == 1;
    my ($reason) = grep { /\S/ } reverse split /\n/, $output;
    # What PythonTeX says then is about Windows.
    $reason = 'there is no python on PATH: run make' if $output =~ m{cmd /C};
    $reason = 'the run ended before its last block' if $reason =~ /^This is PythonTeX|delims/;
    # PythonTeX lacks what LaTeX did not come to write.
    my ($error) = tex_errors(read_lines($log_name));
    $reason = $error if $error && $reason =~ /^Run LaTeX|calls results\.begin/;
    my @source   = $output =~ m{((?:pycode|literate)/\w+\.py)", line (\d+)}g;
    my $failure  = $line . ($reason =~ s/^\s+//r) . (@source ? " ($source[-2]:$source[-1])" : '');
    # As LaTeX can set it: no backslash but in front of what needs one, and only ASCII.
    my $shown = $failure =~ s/[\\~^]/ /gr =~ s/([&%\$#_{}])/\\$1/gr =~ s/[^ -~]/?/gr;
    $shown =~ s{/}{/\\allowbreak{}}g;
    open my $record, '>', "$root/results.tex" or return;
    print $record "\\resultstate{failed}{$shown}\n% failure $failure\n% end\n";
    close $record;
}

# The last word after a failure; in latexmk -pvc after each, before latexmk's own.
my $explained;
sub explain {
    STDOUT->flush();
    my %run = run_record();
    print STDERR "\n$run{failure}" if $run{failure};
    # Those after the first are often only its consequences.
    my ($error) = $run{failure} ? () : tex_errors(read_lines($log_name));
    print STDERR "\n$error" if $error;
    for (grep /no result is called `/, read_lines($log_name)) {
        my ($place, $key) = /(\S+:\d+): no result is called `([^']+)'/ or next;
        open my $near, '-|', 'python3', '-c',
            'import sys; from literate import results; print(*results.near(sys.argv[1]))', $key;
        chomp(my $names = <$near> // '');
        print STDERR "\n$place: no result is called $key; near it: $names\n";
    }
    # LaTeX names another line, or none, for what this leads to.
    my ($number, $failed) = (0, grep /^(?:!|\S+:\d+:) /, read_lines($log_name));
    for ($failed ? read_lines($texfile_name) : ()) {
        $number++;
        print STDERR "\n" . place('', $number) . ': LaTeX reads % in the argument of a command as a'
            . " comment: compute what is printed here in a block\n"
            if /^[^%]*\\[A-Za-z]+\*?(?:\[[^]]*\])?\{[^{}%]*\\py[bcs]?\{[^}%]*(?<!\\)%/;
    }
    $explained = 1;
    return pause_build();
}

# What LaTeX's messages mostly mean.
my @causes = (
    [qr/FancyVerb/             => 'the \\end of a block of Python is missing'],
    [qr/Missing \$ inserted/   => 'is a _ or ^ or a command of mathematics outside of $...$? In text write \\_'],
    [qr/Undefined control/     => 'correct its name, or load its package'],
    [qr/Misplaced alignment/   => 'in text write \\&'],
    [qr/File ended|Paragraph ended|Runaway/ => 'is a } or an \\end missing?'],
    [qr/(?:Too many|Extra) \}/ => 'there is a } too many'],
    [qr/ended by \\end|Missing \\endgroup/ => 'do each \\begin and \\end fit?'],
    [qr/biblatex\.sty|Incompatible package 'natbib'/ => 'literate has natbib and BibTeX instead of biblatex:'
        . ' cite with \\citep and \\citet, and list by \\bibliography'],
    [qr/File `.*' not found/   => 'correct its name, or install it: literate/apt.txt lists packages'],
    [qr/already defined/       => 'choose another name: literate has this one, or a package'],
    [qr/Option clash for package/ => 'load a venue\'s style before \\input{literate/macros}, or write'
        . ' \\PassOptionsToPackage{options}{package} before \\documentclass'],
);

# LaTeX's errors, each as one line with its file, by the parentheses in the log, and its likely cause.
sub tex_errors {
    my (@files, @errors, $message);
    for (@_) {
        next if /^!  ?(?:Emergency stop|==> Fatal error)/;    # the place of the error before may follow
        my ($line, $before) = /^l\.(\d+) (.*)/;
        if (defined $message && (defined $line || /^(?:!|\*\*\*|<\*>) /)) {
            my ($macro) = ($before // '') =~ /(\\(?:[A-Za-z@]+|.))\s*$/;
            $message =~ s/ *\.?$/$macro && $message =~ m{^Undefined} ? " $macro" : ''/e;
            $line //= open_block() if $message =~ /FancyVerb/;
            my ($file)  = grep { defined } reverse @files;
            my ($cause) = map { $message =~ $$_[0] ? ": $$_[1]" : () } @causes;
            $file = ($file // "$root_filename.tex") =~ s{^\./}{}r . (defined $line ? ":$line" : '');
            push @errors, "$file: $message" . ($cause // '') . "\n";
            $message = undef;
        }
        $message = $1 if /^! (.+)/;
        next if defined $message;    # what TeX shows of the source need not be balanced
        while (/\(([^\s()]+\.\w+)?|\)/g) { $& eq ')' ? pop @files : push @files, $1 }
    }
    return @errors;
}

# The line on which a block of Python begins that does not end.
sub open_block {
    my ($number, $begun, $name) = 0;
    for (read_lines($texfile_name)) {
        $number++;
        ($begun, $name) = ($number, $1) if !$name && /^[^%]*\\begin\{(py\w+)\}/;
        $name = undef if $name && /\\end\{$name\}/;
    }
    return $name && $begun;
}

# Whether the PDF is as long as TeX says: on a full disk it may not be.
sub whole_pdf {
    my $pdf = "$out_dir1$root_filename.pdf";
    my $log = join '', read_lines($log_name);
    my ($bytes) = $log =~ /Output written on .*\.pdf \(.*, (\d+) bytes\)/;
    return !-e $pdf || !defined $bytes || -s $pdf == $bytes;
}

END {
    my $status = $?;
    if ($cleanup_mode) {
        # What latexmk -c and -C do not know of; they leave results.json, which is kept in git.
        rmtree([bsd_glob(($aux_dir || $out_dir || '.') . '/pythontex-files-*')]);
        unlink "$root/results.tex", "$root/$job.made";
        rmtree($format);
        unlink bsd_glob("$root/figures/*.pdf") if $cleanup_mode == 1;
    }
    else {
        if (!$status && !whole_pdf()) {
            print STDERR "\n$root_filename.pdf is not whole: is the disk full?\n";
            $status = 12;
        }
        explain() if $status && !$explained;
        end_build($status ? 'failed' : 'ended');
    }
    syswrite $life, "ended\n" if $life;
    $? = $status;
}

1;
