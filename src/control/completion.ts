import type { ArgumentSpec, OptionSpec, Verb } from './verb.ts';

export type Shell = 'bash' | 'zsh' | 'fish';

/** The completion script of a shell, generated from the table of verbs. Installed as the shell's own packages do. */
export function completionScript(shell: Shell, verbs: readonly Verb[]): string {
  const shown = verbs.filter((verb) => !verb.hidden);
  return { bash, zsh, fish }[shell](shown);
}

const NAMES = 'bulkheadctl __complete 2>/dev/null';
/** Of the plugin that stands before it. */
const VERSIONS = 'bulkheadctl __complete "$plugin" 2>/dev/null';

function bash(verbs: readonly Verb[]): string {
  const cases = verbs.map((verb) => {
    const options = optionWords(verb).join(' ');
    const words = verb.arguments[0]?.words?.join(' ') ?? '';
    const second = verb.arguments[1]?.kind === 'version' ? ' second=version' : '';
    return `    ${verb.name}) options='${options}' arguments=${argumentKind(verb) ?? "''"} words='${words}'${second} ;;`;
  });
  return `# bash completion for bulkheadctl(1); generated from its table of verbs.
_bulkheadctl() {
  local current=\${COMP_WORDS[COMP_CWORD]} verbs='${verbs.map((verb) => verb.name).join(' ')}'
  local verb='' options='' arguments='' second='' words='' plugin='' word
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [[ $word == -* ]]; then continue; fi
    if [[ $verb == '' ]]; then verb=$word; else plugin=$word; break; fi
  done
  COMPREPLY=()
  case $verb in
${cases.join('\n')}
    '') options='--help --version' arguments=first ;;
  esac
  if [[ $current == -* ]]; then
    COMPREPLY=($(compgen -W "$options" -- "$current"))
    return
  fi
  [[ $plugin == '' || $second == '' ]] || arguments=$second
  case $arguments in
    version) COMPREPLY=($(compgen -W "$(${VERSIONS})" -- "$current")) ;;
    first | verb) COMPREPLY=($(compgen -W "$verbs" -- "$current")) ;;
    word) COMPREPLY=($(compgen -W "$words" -- "$current")) ;;
    plugin) COMPREPLY=($(compgen -W "$(${NAMES})" -- "$current")) ;;
    plugin-or-file)
      compopt -o filenames
      COMPREPLY=($(compgen -W "$(${NAMES})" -- "$current") $(compgen -f -- "$current"))
      ;;
  esac
}
complete -F _bulkheadctl bulkheadctl
`;
}

function zsh(verbs: readonly Verb[]): string {
  const descriptions = verbs.map((verb) => `    ${zshQuote(`${verb.name}:${verb.summary}`)}`);
  const cases = verbs.map((verb) => {
    const specs = [
      ...verb.options.map(zshOption),
      "'(-h --help)'{-h,--help}'[show this help]'",
      ...verb.arguments.map(zshArgument),
    ];
    return `    ${verb.name})\n      _arguments ${specs.join(' \\\n        ')}\n      ;;`;
  });
  return `#compdef bulkheadctl
# zsh completion for bulkheadctl(1); generated from its table of verbs.
_bulkheadctl_plugins() {
  local -a plugins
  plugins=(\${(f)"$(${NAMES})"})
  _describe plugin plugins
}
_bulkheadctl_versions() {
  local plugin=$line[1]
  local -a versions
  versions=(\${(f)"$(${VERSIONS})"})
  _describe version versions
}
_bulkheadctl_plugins_or_files() {
  _alternative 'plugins:plugin:_bulkheadctl_plugins' 'files:file:_files -g "*.yaml"'
}
_bulkheadctl_verbs() {
  local -a verbs
  verbs=(
${descriptions.join('\n')}
  )
  _describe verb verbs
}
_bulkheadctl() {
  local curcontext=$curcontext state line
  _arguments -C '(-h --help)'{-h,--help}'[show help]' '--version[show the versions]' '1:verb:_bulkheadctl_verbs' '*::argument:->arguments'
  [[ $state == arguments ]] || return 0
  case $line[1] in
${cases.join('\n')}
  esac
}
_bulkheadctl "$@"
`;
}

const ZSH_ACTIONS: Readonly<Record<ArgumentSpec['kind'], string>> = {
  plugin: '_bulkheadctl_plugins',
  'plugin-or-file': '_bulkheadctl_plugins_or_files',
  verb: '_bulkheadctl_verbs',
  version: '_bulkheadctl_versions',
  word: '',
  text: '',
};

function zshOption(option: OptionSpec): string {
  const value = option.kind === 'flag' ? '' : `:${option.label ?? 'N'}:${option.kind === 'file' ? '_files' : ' '}`;
  const text = `[${option.summary.replaceAll(/[[\]:]/g, '\\$&')}]`;
  const equals = option.kind === 'flag' ? '' : '=';
  if (option.short === undefined) return zshQuote(`--${option.name}${equals}${text}${value}`);
  const both = `(-${option.short} --${option.name})`;
  return `${zshQuote(both)}{-${option.short},--${option.name}${equals}}${zshQuote(text + value)}`;
}

function zshArgument(argument: ArgumentSpec): string {
  const place = argument.repeated ? '*' : argument.required ? '1' : ':';
  const action = argument.words === undefined ? ZSH_ACTIONS[argument.kind] : `(${argument.words.join(' ')})`;
  return zshQuote(`${place}:${argument.label.toLowerCase()}:${action}`);
}

function zshQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

function fish(verbs: readonly Verb[]): string {
  const names = verbs.map((verb) => verb.name).join(' ');
  const lines = [
    '# fish completion for bulkheadctl(1); generated from its table of verbs.',
    'complete -c bulkheadctl -f',
    `set -l verbs ${names}`,
    'complete -c bulkheadctl -n "not __fish_seen_subcommand_from $verbs" -l help -s h -d \'show help\'',
    'complete -c bulkheadctl -n "not __fish_seen_subcommand_from $verbs" -l version -d \'show the versions\'',
  ];
  for (const verb of verbs) {
    lines.push(
      `complete -c bulkheadctl -n "not __fish_seen_subcommand_from $verbs" -a ${verb.name} -d ${fishQuote(verb.summary)}`,
    );
    const seen = `complete -c bulkheadctl -n "__fish_seen_subcommand_from ${verb.name}"`;
    for (const option of verb.options) {
      const short = option.short === undefined ? '' : ` -s ${option.short}`;
      const value = { flag: '', count: ' -x', text: ' -x', file: ' -r -F' }[option.kind];
      lines.push(`${seen} -l ${option.name}${short}${value} -d ${fishQuote(option.summary)}`);
    }
    lines.push(`${seen} -l help -s h -d 'show this help'`);
    const kind = argumentKind(verb);
    const words = verb.arguments[0]?.words;
    if (words !== undefined) lines.push(`${seen} -a '${words.join(' ')}'`);
    if (kind === 'verb') lines.push(`${seen} -a "$verbs"`);
    if (kind === 'plugin' || kind === 'plugin-or-file') lines.push(`${seen} -a "(${NAMES})"`);
    if (verb.arguments[1]?.kind === 'version')
      lines.push(`${seen} -a "(set -l plugin (commandline -opc)[3]; ${VERSIONS})"`);
    if (kind === 'plugin-or-file') lines.push(`${seen} -F`);
  }
  return `${lines.join('\n')}\n`;
}

function fishQuote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

function optionWords(verb: Verb): string[] {
  return [...verb.options.map((option) => `--${option.name}`), '--help'];
}

function argumentKind(verb: Verb): ArgumentSpec['kind'] | undefined {
  return verb.arguments[0]?.kind;
}
