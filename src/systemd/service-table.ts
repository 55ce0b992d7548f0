import type { Credentials } from './authority.ts';

/** An argument or property type is a single complete D-Bus type. */
export interface Argument {
  readonly name: string;
  readonly type: string;
}

/** One call of a method of ours. */
export interface ServiceCall {
  /** Unique name of the caller, as the bus daemon wrote it. */
  readonly sender: string;
  readonly path: string;
  /** The arguments, checked against the table; variants are unwrapped. */
  readonly arguments: readonly unknown[];
  /** The caller's ids, as the bus daemon knows them. @throws Failure BH403 when the caller has gone. */
  credentials(): Promise<Credentials>;
  /** Returns when the caller may do this. @throws Failure BH403 with the reason when not. */
  authorize(action: string, details?: Readonly<Record<string, string>>): Promise<void>;
}

export interface ServiceMethod {
  readonly doc: string;
  readonly in: readonly Argument[];
  readonly out: readonly Argument[];
  /** Returns the values of `out`. A Failure that it throws is told to the caller; anything else is a defect. */
  readonly run: (call: ServiceCall) => readonly unknown[] | Promise<readonly unknown[]>;
}

export interface ServiceProperty {
  readonly doc: string;
  readonly type: string;
  /** What PropertiesChanged does about it (D-Bus specification, EmitsChangedSignal). */
  readonly emits: 'true' | 'invalidates' | 'const' | 'false';
  readonly read: () => unknown;
}

export interface ServiceSignal {
  readonly doc: string;
  readonly arguments: readonly Argument[];
}

export interface ServiceInterface {
  readonly doc: string;
  readonly methods: Readonly<Record<string, ServiceMethod>>;
  readonly properties: Readonly<Record<string, ServiceProperty>>;
  readonly signals: Readonly<Record<string, ServiceSignal>>;
}

/** An object of ours: its interfaces by name. Calls are checked, and introspection is made, from this table. */
export type ServiceObject = Readonly<Record<string, ServiceInterface>>;

export function signatureOf(argumentsOf: readonly Argument[]): string {
  return argumentsOf.map(({ type }) => type).join('');
}

const HEAD =
  '<!DOCTYPE node PUBLIC "-//freedesktop//DTD D-BUS Object Introspection 1.0//EN"\n' +
  ' "http://www.freedesktop.org/standards/dbus/1.0/introspect.dtd">\n';

/** Interfaces that every object has; service.ts answers them. */
const STANDARD = `  <interface name="org.freedesktop.DBus.Introspectable">
    <method name="Introspect"><arg name="xml_data" type="s" direction="out"/></method>
  </interface>
  <interface name="org.freedesktop.DBus.Peer">
    <method name="Ping"/>
  </interface>
  <interface name="org.freedesktop.DBus.Properties">
    <method name="Get"><arg name="interface" type="s" direction="in"/><arg name="property" type="s" direction="in"/><arg name="value" type="v" direction="out"/></method>
    <method name="GetAll"><arg name="interface" type="s" direction="in"/><arg name="properties" type="a{sv}" direction="out"/></method>
    <method name="Set"><arg name="interface" type="s" direction="in"/><arg name="property" type="s" direction="in"/><arg name="value" type="v" direction="in"/></method>
    <signal name="PropertiesChanged"><arg name="interface" type="s"/><arg name="changed" type="a{sv}"/><arg name="invalidated" type="as"/></signal>
  </interface>
`;

/** The introspection document of a path: its interfaces, if there is an object, and the names of the paths below. */
export function introspection(object: ServiceObject | undefined, children: readonly string[]): string {
  const interfaces = object === undefined ? '' : STANDARD + Object.entries(object).map(interfaceXml).join('');
  const nodes = children.map((name) => `  <node name="${escapeXml(name)}"/>\n`).join('');
  return `${HEAD}<node>\n${interfaces}${nodes}</node>\n`;
}

function interfaceXml([name, table]: [string, ServiceInterface]): string {
  const members = [
    ...Object.entries(table.methods).map(([method, { doc, in: ins, out }]) =>
      element('method', method, '', [
        documentation(doc),
        ...ins.map((arg) => argument(arg, 'in')),
        ...out.map((arg) => argument(arg, 'out')),
      ]),
    ),
    ...Object.entries(table.signals).map(([signal, { doc, arguments: args }]) =>
      element('signal', signal, '', [documentation(doc), ...args.map((arg) => argument(arg))]),
    ),
    ...Object.entries(table.properties).map(([property, { doc, type, emits }]) =>
      element('property', property, ` type="${escapeXml(type)}" access="read"`, [
        annotation('org.freedesktop.DBus.Property.EmitsChangedSignal', emits),
        documentation(doc),
      ]),
    ),
  ];
  return `  <interface name="${escapeXml(name)}">\n    ${documentation(table.doc)}\n${members.join('')}  </interface>\n`;
}

function element(kind: string, name: string, attributes: string, inner: readonly string[]): string {
  const lines = inner.map((line) => `      ${line}\n`).join('');
  return `    <${kind} name="${escapeXml(name)}"${attributes}>\n${lines}    </${kind}>\n`;
}

function argument({ name, type }: Argument, direction?: 'in' | 'out'): string {
  const way = direction === undefined ? '' : ` direction="${direction}"`;
  return `<arg name="${escapeXml(name)}" type="${escapeXml(type)}"${way}/>`;
}

function documentation(text: string): string {
  return annotation('org.gtk.GDBus.DocString', text);
}

function annotation(name: string, value: string): string {
  return `<annotation name="${name}" value="${escapeXml(value)}"/>`;
}

function escapeXml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;');
}
