import com.sun.net.httpserver.HttpServer;
import java.io.*;
import java.net.*;
import java.nio.*;
import java.nio.channels.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.*;
import java.util.concurrent.*;
import java.util.zip.*;

/** Serves HTTP on the socket that it was given (descriptor 3), and uses the runtime widely for each request. */
public class Hello {
  static final Path DIRECTORY;
  static final ExecutorService POOL = Executors.newFixedThreadPool(4);
  static { try { DIRECTORY = Files.createTempDirectory("hello"); } catch (IOException e) { throw new UncheckedIOException(e); } }

  static String work() throws Exception {
    Path d = Files.createTempDirectory(DIRECTORY, "d"), p = d.resolve("x");
    Files.write(p, new byte[1000]); Files.copy(p, d.resolve("y")); Files.move(p, d.resolve("z"));
    try (RandomAccessFile f = new RandomAccessFile(d.resolve("z").toFile(), "rw"); FileLock lock = f.getChannel().lock()) {
      MappedByteBuffer m = f.getChannel().map(FileChannel.MapMode.READ_WRITE, 0, 1000); m.put(0, (byte) 1); m.force(); f.setLength(10); f.getChannel().force(true);
    }
    Files.createSymbolicLink(d.resolve("l"), Path.of("z")); Files.readSymbolicLink(d.resolve("l"));
    Files.setPosixFilePermissions(d.resolve("z"), Set.of()); Files.getFileStore(d).getUsableSpace();
    try (WatchService w = d.getFileSystem().newWatchService()) { d.register(w, StandardWatchEventKinds.ENTRY_CREATE); w.poll(1, TimeUnit.MILLISECONDS); }
    try (var list = Files.list(d)) { for (Path q : list.toList()) Files.delete(q); }
    Files.delete(d);
    GZIPOutputStream z = new GZIPOutputStream(new ByteArrayOutputStream()); z.write(new byte[10000]); z.close();
    var digest = java.security.MessageDigest.getInstance("SHA-256").digest(new byte[10]); new java.security.SecureRandom().nextInt();
    List<Future<Integer>> f = new ArrayList<>(); for (int i = 0; i < 8; i++) f.add(POOL.submit(() -> 1)); int sum = 0; for (var one : f) sum += one.get();
    InetAddress.getByName("localhost"); try (Socket s = new Socket()) { s.connect(new InetSocketAddress("127.0.0.1", 1), 100); } catch (IOException refused) { }
    try { NetworkInterface.networkInterfaces().count(); } catch (SocketException notGranted) { }
    try (SocketChannel c = SocketChannel.open(); Selector s = Selector.open()) { c.configureBlocking(false); c.register(s, SelectionKey.OP_CONNECT); s.selectNow(); }
    byte[][] garbage = new byte[64][]; for (int i = 0; i < 2000; i++) garbage[i % 64] = new byte[32768]; System.gc();
    var os = java.lang.management.ManagementFactory.getOperatingSystemMXBean(); os.getSystemLoadAverage(); os.getAvailableProcessors();
    java.lang.management.ManagementFactory.getThreadMXBean().getThreadCount();
    return digest.length + " " + sum;
  }

  static void answer(SocketChannel connection) {
    try (connection) {
      ByteBuffer request = ByteBuffer.allocate(8192);
      String text = "";
      while (!text.contains("\r\n\r\n")) { if (connection.read(request) < 0) return; text = new String(request.array(), 0, request.position(), StandardCharsets.ISO_8859_1); }
      String body, status = "200 OK";
      try { body = work(); } catch (Exception e) { StringWriter w = new StringWriter(); e.printStackTrace(new PrintWriter(w)); body = w.toString(); status = "500 Error"; }
      connection.write(ByteBuffer.wrap(("HTTP/1.1 " + status + "\r\nConnection: close\r\nContent-Length: " + body.length() + "\r\n\r\n" + body).getBytes(StandardCharsets.ISO_8859_1)));
    } catch (IOException gone) { }
  }

  public static void main(String[] arguments) throws Exception {
    // inetd's way, the only one that the JVM knows: the listening socket is descriptor 0.
    ServerSocketChannel server = (ServerSocketChannel) System.inheritedChannel();
    if (server == null) throw new IllegalStateException("descriptor 0 is no listening socket");
    if (arguments.length > 0) { Process child = new ProcessBuilder("/bin/true").start(); System.out.println("child " + child.waitFor()); }
    ExecutorService connections = Executors.newCachedThreadPool();
    System.out.println("listening");
    for (;;) { SocketChannel connection = server.accept(); connections.submit(() -> answer(connection)); }
  }
}
