import java.io.FileInputStream;
import java.io.InputStream;
import java.security.cert.CertPathValidator;
import java.security.cert.CertificateFactory;
import java.security.cert.PKIXParameters;
import java.security.cert.TrustAnchor;
import java.security.cert.X509Certificate;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;

/** Validates chains (PEM, certificate first, root last) with the PKIX of this JDK; a line for each. */
public class CertPath {
  public static void main(String[] files) throws Exception {
    CertificateFactory factory = CertificateFactory.getInstance("X.509");
    for (String file : files) {
      List<X509Certificate> chain = new ArrayList<>();
      try (InputStream in = new FileInputStream(file)) {
        for (var certificate : factory.generateCertificates(in)) chain.add((X509Certificate) certificate);
      }
      X509Certificate root = chain.remove(chain.size() - 1);
      // The trust anchor's own name constraints are passed as RFC 5280 §6.1.1 has them: none.
      PKIXParameters parameters = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
      parameters.setRevocationEnabled(false);
      try {
        CertPathValidator.getInstance("PKIX").validate(factory.generateCertPath(chain), parameters);
        System.out.println("ok\t" + file);
      } catch (java.security.cert.CertPathValidatorException refused) {
        System.out.println("FAIL\t" + file + "\t" + refused.getMessage());
      }
    }
  }
}
