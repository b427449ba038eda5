import com.amazonaws.encryptionsdk.AwsCrypto;
import com.amazonaws.encryptionsdk.CommitmentPolicy;
import com.amazonaws.encryptionsdk.CryptoAlgorithm;
import com.amazonaws.encryptionsdk.CryptoResult;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import software.amazon.cryptography.materialproviders.ICryptographicMaterialsManager;
import software.amazon.cryptography.materialproviders.IKeyring;
import software.amazon.cryptography.materialproviders.MaterialProviders;
import software.amazon.cryptography.materialproviders.model.AesWrappingAlg;
import software.amazon.cryptography.materialproviders.model.CreateDefaultCryptographicMaterialsManagerInput;
import software.amazon.cryptography.materialproviders.model.CreateMultiKeyringInput;
import software.amazon.cryptography.materialproviders.model.CreateRawAesKeyringInput;
import software.amazon.cryptography.materialproviders.model.CreateRawEcdhKeyringInput;
import software.amazon.cryptography.materialproviders.model.CreateRawRsaKeyringInput;
import software.amazon.cryptography.materialproviders.model.CreateRequiredEncryptionContextCMMInput;
import software.amazon.cryptography.materialproviders.model.EphemeralPrivateKeyToStaticPublicKeyInput;
import software.amazon.cryptography.materialproviders.model.MaterialProvidersConfig;
import software.amazon.cryptography.materialproviders.model.PaddingScheme;
import software.amazon.cryptography.materialproviders.model.PublicKeyDiscoveryInput;
import software.amazon.cryptography.materialproviders.model.RawEcdhStaticConfigurations;
import software.amazon.cryptography.materialproviders.model.RawPrivateKeyToStaticPublicKeyInput;
import software.amazon.cryptography.primitives.model.ECDHCurveSpec;

/** The official Java client's side of the two-way tests: {@code Peer WORK JOBS ANSWERS}, files as in ../two-way. */
public final class Peer {
    private static final Map<String, PaddingScheme> PADDINGS = Map.of(
            "pkcs1", PaddingScheme.PKCS1,
            "oaep-sha1", PaddingScheme.OAEP_SHA1_MGF1,
            "oaep-sha256", PaddingScheme.OAEP_SHA256_MGF1,
            "oaep-sha384", PaddingScheme.OAEP_SHA384_MGF1,
            "oaep-sha512", PaddingScheme.OAEP_SHA512_MGF1);
    private static final Map<Integer, AesWrappingAlg> WRAPPINGS = Map.of(
            16, AesWrappingAlg.ALG_AES128_GCM_IV12_TAG16,
            24, AesWrappingAlg.ALG_AES192_GCM_IV12_TAG16,
            32, AesWrappingAlg.ALG_AES256_GCM_IV12_TAG16);
    private static final Map<String, ECDHCurveSpec> CURVES = Map.of(
            "256", ECDHCurveSpec.ECC_NIST_P256,
            "384", ECDHCurveSpec.ECC_NIST_P384,
            "521", ECDHCurveSpec.ECC_NIST_P521);

    private final MaterialProviders providers = MaterialProviders.builder()
            .MaterialProvidersConfig(MaterialProvidersConfig.builder().build())
            .build();
    private final Path work;
    private final byte[] plaintexts;
    private final Map<String, IKeyring> keyrings = new HashMap<>();

    private Peer(Path work) throws IOException {
        this.work = work;
        plaintexts = Files.readAllBytes(work.resolve("plaintext.bin"));
        for (String line : Files.readAllLines(work.resolve("keyrings.tsv"))) {
            String[] columns = line.split("\t");
            keyrings.put(columns[0], keyring(columns));
        }
    }

    // ---- Keyrings

    private IKeyring keyring(String[] columns) {
        switch (columns[1]) {
            case "aes": {
                byte[] key = HexFormat.of().parseHex(columns[4]);
                return providers.CreateRawAesKeyring(CreateRawAesKeyringInput.builder()
                        .keyNamespace(columns[2])
                        .keyName(columns[3])
                        .wrappingKey(ByteBuffer.wrap(key))
                        .wrappingAlg(WRAPPINGS.get(key.length))
                        .build());
            }
            case "rsa": {
                CreateRawRsaKeyringInput.Builder input = CreateRawRsaKeyringInput.builder()
                        .keyNamespace(columns[2])
                        .keyName(columns[3])
                        .paddingScheme(PADDINGS.get(columns[4]));
                if (!columns[5].equals("-")) input.publicKey(file(columns[5]));
                if (!columns[6].equals("-")) input.privateKey(file(columns[6]));
                return providers.CreateRawRsaKeyring(input.build());
            }
            default:
                return providers.CreateRawEcdhKeyring(CreateRawEcdhKeyringInput.builder()
                        .KeyAgreementScheme(scheme(columns[2], columns[4], columns[5]))
                        .curveSpec(CURVES.get(columns[3]))
                        .build());
        }
    }

    private RawEcdhStaticConfigurations scheme(String schema, String privateKey, String publicKey) {
        RawEcdhStaticConfigurations.Builder scheme = RawEcdhStaticConfigurations.builder();
        switch (schema) {
            case "static":
                return scheme.RawPrivateKeyToStaticPublicKey(RawPrivateKeyToStaticPublicKeyInput.builder()
                        .senderStaticPrivateKey(file(privateKey))
                        .recipientPublicKey(file(publicKey))
                        .build()).build();
            case "ephemeral":
                return scheme.EphemeralPrivateKeyToStaticPublicKey(EphemeralPrivateKeyToStaticPublicKeyInput.builder()
                        .recipientPublicKey(file(publicKey))
                        .build()).build();
            default:
                return scheme.PublicKeyDiscovery(PublicKeyDiscoveryInput.builder()
                        .recipientStaticPrivateKey(file(privateKey))
                        .build()).build();
        }
    }

    private ByteBuffer file(String name) {
        try {
            return ByteBuffer.wrap(Files.readAllBytes(work.resolve(name)));
        } catch (IOException error) {
            throw new UncheckedIOException(error);
        }
    }

    private IKeyring keyringOf(String[] labels) {
        if (labels.length == 1) return keyrings.get(labels[0]);
        List<IKeyring> children = new ArrayList<>();
        for (String label : Arrays.asList(labels).subList(1, labels.length)) children.add(keyrings.get(label));
        return providers.CreateMultiKeyring(CreateMultiKeyringInput.builder()
                .generator(keyrings.get(labels[0]))
                .childKeyrings(children)
                .build());
    }

    private ICryptographicMaterialsManager cmmOf(IKeyring keyring, List<String> required) {
        ICryptographicMaterialsManager cmm = providers.CreateDefaultCryptographicMaterialsManager(
                CreateDefaultCryptographicMaterialsManagerInput.builder().keyring(keyring).build());
        if (required.isEmpty()) return cmm;
        return providers.CreateRequiredEncryptionContextCMM(CreateRequiredEncryptionContextCMMInput.builder()
                .underlyingCMM(cmm)
                .requiredEncryptionContextKeys(required)
                .build());
    }

    // ---- Jobs

    private static String unhex(String text) {
        return new String(HexFormat.of().parseHex(text), StandardCharsets.UTF_8);
    }

    private static String[] texts(String column) {
        return column.equals("-") ? new String[0] : column.split(",");
    }

    private static void check(boolean holds, String otherwise) {
        if (!holds) throw new IllegalStateException(otherwise);
    }

    private void act(String[] job) throws IOException {
        Path message = work.resolve(job[2]);
        CryptoAlgorithm suite = suiteOf(Integer.parseInt(job[3], 16));
        byte[] plaintext = Arrays.copyOf(plaintexts, Integer.parseInt(job[5]));
        Map<String, String> context = new HashMap<>();
        for (String pair : texts(job[6])) {
            int equals = pair.indexOf('=');
            context.put(unhex(pair.substring(0, equals)), unhex(pair.substring(equals + 1)));
        }
        List<String> required = new ArrayList<>();
        for (String key : texts(job[7])) required.add(unhex(key));
        ICryptographicMaterialsManager cmm = cmmOf(keyringOf(job[8].split(",")), required);
        AwsCrypto client = AwsCrypto.builder()
                .withCommitmentPolicy(suite.isCommitting()
                        ? CommitmentPolicy.RequireEncryptRequireDecrypt
                        : CommitmentPolicy.ForbidEncryptAllowDecrypt)
                .withEncryptionAlgorithm(suite)
                .withEncryptionFrameSize(Integer.parseInt(job[4]))
                .build();
        if (job[1].equals("write")) {
            Files.write(message, client.encryptData(cmm, plaintext, context).getResult());
            return;
        }
        Map<String, String> reproduced = new HashMap<>(context);
        reproduced.keySet().retainAll(required);
        CryptoResult<byte[], ?> got = client.decryptData(cmm, Files.readAllBytes(message), reproduced);
        check(Arrays.equals(got.getResult(), plaintext), "the plaintext is another one");
        check(got.getCryptoAlgorithm() == suite, "the suite is another one");
        Map<String, String> seen = new HashMap<>(got.getEncryptionContext());
        seen.remove("aws-crypto-public-key");
        seen.putAll(reproduced);
        check(seen.equals(context), "the encryption context is another one");
    }

    private static CryptoAlgorithm suiteOf(int id) {
        for (CryptoAlgorithm suite : CryptoAlgorithm.values()) {
            if (suite.getValue() == id) return suite;
        }
        throw new IllegalArgumentException("no such suite");
    }

    /** Name and version, as the file names of the packages tell them. */
    private static String client() {
        return List.of(AwsCrypto.class, MaterialProviders.class).stream()
                .map(of -> Path.of(of.getProtectionDomain().getCodeSource().getLocation().getPath()))
                .map(file -> file.getFileName().toString().replaceFirst("(.*)-(\\d.*)[.]jar$", "`$1` $2"))
                .collect(Collectors.joining(" with "));
    }

    private String answer(String[] job) {
        try {
            act(job);
            return "ok";
        } catch (Exception error) { // whatever the client throws is its answer
            String why = error.toString().replaceAll("\\s+", " ");
            boolean emptyValue = (job[6] + ",").contains("=,");
            boolean refused = why.contains("must be non-empty") || why.contains("Value length must be greater than 0");
            return emptyValue && refused ? "unsupported\tan empty value in an encryption context" : "failed\t" + why;
        }
    }

    public static void main(String[] arguments) throws IOException {
        Peer peer = new Peer(Path.of(arguments[0]));
        List<String> answers = new ArrayList<>(List.of("client\tJava: " + client()));
        for (String line : Files.readAllLines(Path.of(arguments[1]))) {
            String[] job = line.split("\t");
            answers.add(job[0] + "\t" + peer.answer(job));
        }
        Files.write(Path.of(arguments[2]), answers);
    }
}
