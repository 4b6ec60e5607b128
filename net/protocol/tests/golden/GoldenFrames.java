import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.io.PrintWriter;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HexFormat;
import java.util.List;
import java.util.Random;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.message.RequestHeaderData;
import org.apache.kafka.common.message.ResponseHeaderData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.ObjectSerializationCache;
import org.apache.kafka.common.protocol.types.ArrayOf;
import org.apache.kafka.common.protocol.types.BoundField;
import org.apache.kafka.common.protocol.types.CompactArrayOf;
import org.apache.kafka.common.protocol.types.Field;
import org.apache.kafka.common.protocol.types.Schema;
import org.apache.kafka.common.protocol.types.TaggedFields;
import org.apache.kafka.common.protocol.types.Type;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.coordinator.group.generated.OffsetCommitKey;
import org.apache.kafka.coordinator.group.generated.OffsetCommitValue;

/**
 * Writes the golden frames beside this file: for every API and version that Flumen speaks, frames that Kafka's own
 * classes encoded, each with Kafka's own JSON of what they say.
 *
 * Run once, with the jars of kafka-clients, kafka-group-coordinator and kafka-server-common 4.4.0, jackson and slf4j:
 *
 *     java -cp 'LIB/*' GoldenFrames.java .
 *
 * A line is: "request" or "response", version, frame in hexadecimal (with its size), JSON of the body. The lines of
 * offsets_topic.txt are "key" or "value", version, record bytes, JSON.
 */
public class GoldenFrames {
    static final int CORRELATION_ID = 0x01020304;
    static final String CLIENT_ID = "golden";
    static final ApiKeys[] APIS = {
        ApiKeys.PRODUCE, ApiKeys.FETCH, ApiKeys.LIST_OFFSETS, ApiKeys.METADATA, ApiKeys.OFFSET_COMMIT, ApiKeys.OFFSET_FETCH,
        ApiKeys.FIND_COORDINATOR, ApiKeys.API_VERSIONS, ApiKeys.CREATE_TOPICS, ApiKeys.DELETE_TOPICS, ApiKeys.DELETE_RECORDS,
        ApiKeys.INIT_PRODUCER_ID, ApiKeys.OFFSET_FOR_LEADER_EPOCH, ApiKeys.DESCRIBE_CONFIGS, ApiKeys.ALTER_CONFIGS,
        ApiKeys.DESCRIBE_LOG_DIRS, ApiKeys.CREATE_PARTITIONS, ApiKeys.INCREMENTAL_ALTER_CONFIGS, ApiKeys.DESCRIBE_CLUSTER,
        ApiKeys.DESCRIBE_PRODUCERS, ApiKeys.DESCRIBE_TOPIC_PARTITIONS,
    };

    /** Three samples of each: everything present, everything that may be null null, and a mixture. */
    enum Sample { FULL, EMPTY, MIXED }

    static Sample sample;
    static Random random;

    public static void main(String[] arguments) throws Exception {
        Path directory = Path.of(arguments[0]);
        for (ApiKeys api : APIS) {
            try (PrintWriter out = open(directory, api.name().toLowerCase() + ".txt")) {
                for (short version = api.oldestVersion(); version <= newest(api); version++) {
                    for (Sample each : Sample.values()) {
                        sample = each;
                        random = new Random(api.id * 1000L + version * 10L + each.ordinal());
                        request(api, version, out);
                        response(api, version, out);
                    }
                }
            }
        }
        try (PrintWriter out = open(directory, "offsets_topic.txt")) {
            for (Sample each : Sample.values()) {
                sample = each;
                random = new Random(each.ordinal());
                record("key", new OffsetCommitKey(), (short) 0, OffsetCommitKey.SCHEMA_0, (short) 1, out);
                for (short version = 0; version <= OffsetCommitValue.HIGHEST_SUPPORTED_VERSION; version++) {
                    record("value", new OffsetCommitValue(), version, OffsetCommitValue.SCHEMAS[version], version, out);
                }
            }
        }
    }

    static PrintWriter open(Path directory, String name) throws IOException {
        return new PrintWriter(Files.newBufferedWriter(directory.resolve(name), StandardCharsets.UTF_8));
    }

    /** Versions that Kafka marks unstable are not spoken. */
    static short newest(ApiKeys api) {
        return api == ApiKeys.INIT_PRODUCER_ID ? 5 : api.latestVersion();
    }

    static void request(ApiKeys api, short version, PrintWriter out) throws Exception {
        Message body = ApiMessageType.fromApiKey(api.id).newRequest();
        fill(body, api.messageType.requestSchemas()[version]);
        Message header = new RequestHeaderData().setRequestApiKey(api.id).setRequestApiVersion(version)
            .setCorrelationId(CORRELATION_ID).setClientId(sample == Sample.EMPTY ? null : CLIENT_ID);
        // Before the body is written, which consumes its records.
        JsonNode json = json(body, version);
        byte[] bytes = join(serialize(header, api.requestHeaderVersion(version)), serialize(body, version));
        line("request", version, frame(bytes), json, out);
    }

    static void response(ApiKeys api, short version, PrintWriter out) throws Exception {
        Message body = ApiMessageType.fromApiKey(api.id).newResponse();
        fill(body, api.messageType.responseSchemas()[version]);
        Message header = new ResponseHeaderData().setCorrelationId(CORRELATION_ID);
        JsonNode json = json(body, version);
        byte[] bytes = join(serialize(header, api.responseHeaderVersion(version)), serialize(body, version));
        line("response", version, frame(bytes), json, out);
    }

    static void record(String kind, Message body, short version, Schema schema, short prefix, PrintWriter out) throws Exception {
        fill(body, schema);
        byte[] leading = ByteBuffer.allocate(2).putShort(prefix).array();
        line(kind, version, join(leading, serialize(body, version)), json(body, version), out);
    }

    static void line(String kind, short version, byte[] bytes, JsonNode json, PrintWriter out) {
        out.println(kind + " " + version + " " + HexFormat.of().formatHex(bytes) + " " + json);
    }

    static JsonNode json(Message body, short version) throws Exception {
        Class<?> converter = Class.forName(body.getClass().getName() + "JsonConverter");
        return (JsonNode) converter.getMethod("write", body.getClass(), short.class, boolean.class)
            .invoke(null, body, version, false);
    }

    static byte[] serialize(Message message, short version) {
        ObjectSerializationCache cache = new ObjectSerializationCache();
        ByteBuffer buffer = ByteBuffer.allocate(message.size(cache, version));
        message.write(new ByteBufferAccessor(buffer), cache, version);
        return buffer.array();
    }

    static byte[] frame(byte[] bytes) {
        return join(ByteBuffer.allocate(4).putInt(bytes.length).array(), bytes);
    }

    static byte[] join(byte[] first, byte[] second) {
        byte[] joined = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, joined, first.length, second.length);
        return joined;
    }

    /** Sets every field that the schema of the version has; the others keep their defaults. */
    static void fill(Object message, Schema schema) throws Exception {
        for (BoundField bound : schema.fields()) {
            if (bound.def.type instanceof TaggedFields tagged) {
                for (Field field : tagged.fields().values()) {
                    if (sample == Sample.FULL || sample == Sample.MIXED && random.nextBoolean()) {
                        set(message, field.name, field.type);
                    }
                }
            } else {
                set(message, bound.def.name, bound.def.type);
            }
        }
    }

    static void set(Object message, String name, Type type) throws Exception {
        StringBuilder camel = new StringBuilder();
        for (String word : name.split("_")) {
            camel.append(Character.toUpperCase(word.charAt(0))).append(word.substring(1));
        }
        for (Method method : message.getClass().getMethods()) {
            if (method.getName().equals("set" + camel) && method.getParameterCount() == 1) {
                method.invoke(message, value(name, type, method));
                return;
            }
        }
        throw new IllegalStateException(message.getClass() + " has no setter for " + name);
    }

    static Object value(String name, Type type, Method setter) throws Exception {
        Class<?> kind = setter.getParameterTypes()[0];
        if (type.isNullable() && (sample == Sample.EMPTY || sample == Sample.MIXED && random.nextInt(3) == 0)) {
            return null;
        }
        if (type instanceof ArrayOf || type instanceof CompactArrayOf) {
            return array(name, type.arrayElementType().get(), setter);
        }
        if (type instanceof Schema schema) {
            Object message = kind.getConstructor().newInstance();
            fill(message, schema);
            return message;
        }
        if (kind == MemoryRecords.class || kind.getSimpleName().equals("BaseRecords")) {
            byte[] bytes = new byte[sample == Sample.EMPTY ? 0 : 1 + random.nextInt(20)];
            random.nextBytes(bytes);
            return MemoryRecords.readableRecords(ByteBuffer.wrap(bytes));
        }
        return scalar(name, kind);
    }

    static Object array(String name, Type elementType, Method setter) throws Exception {
        Class<?> kind = setter.getParameterTypes()[0];
        boolean list = kind == List.class;
        Class<?> elementKind = list
            ? (Class<?>) ((ParameterizedType) setter.getGenericParameterTypes()[0]).getActualTypeArguments()[0]
            : Class.forName(kind.getName().replaceAll("Collection$", ""));
        @SuppressWarnings("unchecked")
        Collection<Object> elements = list ? new ArrayList<>() : (Collection<Object>) kind.getConstructor().newInstance();
        int count = sample == Sample.EMPTY ? 0 : sample == Sample.FULL ? 2 : random.nextInt(3);
        for (int i = 0; i < count; i++) {
            if (elementType instanceof Schema schema) {
                Object element = elementKind.getConstructor().newInstance();
                fill(element, schema);
                elements.add(element);
            } else {
                elements.add(scalar(name, elementKind));
            }
        }
        return elements;
    }

    static Object scalar(String name, Class<?> kind) {
        if (kind == boolean.class) return random.nextBoolean();
        if (kind == byte.class) return (byte) random.nextInt();
        if (kind == short.class && name.endsWith("error_code")) return (short) (random.nextInt(138) - 1);
        if (kind == short.class) return (short) random.nextInt();
        if (kind == int.class || kind == Integer.class) return random.nextInt();
        if (kind == long.class) return random.nextLong();
        if (kind == Uuid.class) return new Uuid(random.nextLong(), random.nextLong());
        if (kind == String.class) return sample == Sample.EMPTY ? "" : "\u00e9" + Integer.toString(random.nextInt(10000), 36);
        throw new IllegalStateException("no value for " + name + " of " + kind);
    }
}
